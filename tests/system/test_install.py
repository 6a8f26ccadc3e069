"""What a user has after `make install`: a program that finds its library, headers, pkg-config, a manual, completions;
and a source of a dozen lines that is a program, a plug-in, and can be run as it is.
"""
import collections
import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PAPJUICE_BUILD", ROOT / "build")).resolve()
TEXT = b"to be or not to be\n"
RESULT = b"be\t2\nnot\t1\nor\t1\nto\t2\n"

pytestmark = pytest.mark.skipif(bool(os.environ.get("PAPJUICE_SANITIZE")),
                                reason="programs outside of the tree do not have the sanitizer of this build")

Installed = collections.namedtuple("Installed", "prefix environment folder")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Everything installed below a folder, and an environment in which pkg-config and the loader look there."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"], check=True, timeout=60,
                   env=dict(os.environ, DESTDIR=str(folder)))
    prefix = next(folder.rglob("bin/papjuice")).parent.parent
    pc_file, library = next(prefix.rglob("papjuice.pc")), next(prefix.rglob("libpapjuice.so.0"))
    environment = dict(os.environ, PKG_CONFIG_PATH=str(pc_file.parent), PKG_CONFIG_SYSROOT_DIR=str(folder),
                       LD_LIBRARY_PATH=str(library.parent), XDG_CACHE_HOME=str(folder / "cache"))
    (folder / "cache").mkdir(mode=0o700)
    (folder / "in.txt").write_bytes(TEXT)
    shutil.copy(ROOT / "examples" / "wordcount.c", folder / "job.c")
    return Installed(prefix, environment, folder)


def run(installed, *command, **more):
    done = subprocess.run([str(part) for part in command], cwd=installed.folder, env=installed.environment, timeout=60,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False, **more)
    assert done.returncode == 0, done
    return done.stdout


def flags(installed, *which):
    return run(installed, "pkg-config", *which, "papjuice").decode().split()


def test_the_program_finds_its_library(installed):
    environment = {key: value for key, value in installed.environment.items() if key != "LD_LIBRARY_PATH"}
    bare = installed._replace(environment=environment)
    assert run(bare, installed.prefix / "bin" / "papjuice", "wordcount", "in.txt") == RESULT


def test_all_headers_are_there(installed):
    there = {path.relative_to(ROOT / "include") for path in (ROOT / "include").rglob("*.h")}
    found = {path.relative_to(installed.prefix / "include") for path in (installed.prefix / "include").rglob("*.h")}
    assert found == there


def test_the_manual_and_the_completions_are_there(installed):
    share = installed.prefix / "share"
    assert (share / "man" / "man1" / "papjuice.1").read_text(encoding="utf-8").startswith(".TH PAPJUICE 1")
    for name in ("bash-completion/completions/papjuice", "zsh/site-functions/_papjuice",
                 "fish/vendor_completions.d/papjuice.fish"):
        assert "overwrite" in (share / name).read_text(encoding="utf-8")


def test_a_source_is_a_program(installed):
    run(installed, "cc", "-Wall", "-Werror", "job.c", *flags(installed, "--cflags", "--libs"), "-o", "job")
    assert run(installed, "./job", "in.txt") == RESULT


def test_and_a_plug_in(installed):
    run(installed, "cc", "-shared", "-fPIC", "job.c", *flags(installed, "--cflags"), "-o", "job.so")
    assert run(installed, installed.prefix / "bin" / "papjuice", "run", "./job.so", "in.txt") == RESULT


def test_and_can_be_run_as_it_is(installed):
    assert run(installed, installed.prefix / "bin" / "papjuice", "run", "job.c", "in.txt") == RESULT


def test_headers_are_good_for_strict_compilers_and_for_cplusplus(installed):
    """Each header by itself, without a GNU extension in the way."""
    for header in sorted((installed.prefix / "include").rglob("*.h")):
        name = header.relative_to(installed.prefix / "include")
        source = f"#include <signal.h>\n#include <{name}>\nint main(void) {{ return 0; }}\n"
        for command in (["cc", "-std=gnu17", "-x", "c"], ["c++", "-std=gnu++17", "-x", "c++"]):
            if not shutil.which(command[0]):
                continue  # C++ is looked at where there is a compiler for it
            done = subprocess.run([*command, "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                                   *flags(installed, "--cflags"), "-"], input=source.encode(), cwd=installed.folder,
                                  capture_output=True, timeout=60, check=False)
            assert done.returncode == 0, done.stderr.decode()
