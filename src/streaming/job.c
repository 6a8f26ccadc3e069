/*
 * job.c: see job.h.
 */
#include "streaming/job.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "front/front.h"
#include "streaming/console.h"
#include "streaming/java.h"
#include "streaming/lines.h"

static const uint64_t mib = 1024 * 1024;

/* -------------------------------------------------------------------------------------------------------- callbacks */

/* Tells why an attempt cannot be made or ended: of a callback the engine knows only that it failed. */
static pj_status told(pj_status status, const pj_error *error)
{
	if (status)
		pj__console_error(error, "streaming.StreamJob");
	return status;
}

static pj_status prepare(void *arg, const pj_attempt *attempt, pj_start *start)
{
	pj__side *const side = arg;
	const pj__streaming *const streaming = side->streaming;
	char id[PJ__ID_BYTES + 16], *work, *left;
	pj_error error;
	pj__attempt_id(&streaming->environment, attempt, id);
	if (attempt->role == PJ_ROLE_COMBINE)
		snprintf(id + strlen(id), 16, "_combine");
	const pj_status status = pj__folder_begin(&streaming->folder, id, &work, &left, &error);
	if (status)
		return told(status, &error);
	pj__environment_set(&streaming->environment, attempt, work, left, start);
	pj_start_folder(start, work);
	free(work);
	free(left);
	return PJ_OK;
}

static pj_status done(void *arg, const pj_attempt *attempt)
{
	const pj__streaming *const streaming = ((pj__side *)arg)->streaming;
	char id[PJ__ID_BYTES], task[PJ__ID_BYTES];
	pj_error error;
	if (attempt->role == PJ_ROLE_COMBINE || attempt->is_sample)
		return PJ_OK;
	pj__attempt_id(&streaming->environment, attempt, id);
	pj__task_id(&streaming->environment, attempt, task);
	return told(pj__folder_done(&streaming->folder, id, task, &error), &error);
}

/* Programs' standard error goes where our own messages go, line by line, up to a limit. */
static void said(void *arg, const pj_attempt *attempt, pj_bytes line)
{
	enum { MOST_BYTES = 1 << 20 };
	static const char enough[] = "papjuice: note: what this program writes from here on is not shown\n";
	pj__side *const side = arg;
	const struct iovec pieces[] = {{(char *)line.ptr, line.len}, {(char *)"\n", 1}};
	const struct iovec last = {(char *)enough, sizeof enough - 1};
	if (attempt->is_sample || side->passed_on > MOST_BYTES)
		return;
	side->passed_on += line.len + 1;
	const bool shown = side->passed_on <= MOST_BYTES;
	/* if standard error cannot be written, the line is lost */
	if (writev(STDERR_FILENO, shown ? pieces : &last, shown ? 2 : 1) < 0)
		return;
}

static uint64_t part_of(pj_bytes key, uint64_t parts, void *arg)
{
	const pj__streaming *const streaming = arg;
	const uint32_t hash =
		streaming->parts_by_fields ? pj__fields_hash(&streaming->partition, key) : pj__java_hash_bytes(key, 1);
	return pj__java_part(hash, parts);
}

static int compare_keys(pj_bytes a, pj_bytes b, void *arg)
{
	/* Hadoop compares the bytes of keys by the named fields when it sorts, but whole keys when it groups. */
	const int order = pj__fields_compare(&((const pj__streaming *)arg)->order, a, b);
	return order ? order : pj_bytes_compare(a, b);
}

/* --------------------------------------------------------------------------------------------------------- settings */

static pj_status refuse(pj_error *error, const char *what, const char *value, const char *hint)
{
	pj__fail(error, PJ_ERR_USAGE, 0, NULL, "%s: %s", what, value);
	if (hint)
		pj__error_hint(error, "%s", hint);
	return PJ_ERR_USAGE;
}

/* A property's value as text, or `otherwise`; of an expanded one the configuration keeps the result. */
static pj_status settle_text(pj__conf *conf, const char *name, const char *otherwise, pj_bytes *ret_text,
			     pj_error *error)
{
	const char *const given = pj__conf_get(conf, name);
	if (given && strstr(given, "${")) {
		pj_text whole = {0};
		pj__conf_expand(conf, given, &whole);
		pj__text_byte(&whole, 0);
		const pj_status status = whole.failed ? pj__no_memory(error, strlen(given))
						      : pj__conf_set(conf, name, whole.data, error);
		pj__text_fini(&whole);
		if (status)
			return status;
	}
	const char *const text = pj__conf_get(conf, name);
	*ret_text = pj_bytes_of(text && *text ? text : otherwise);
	return PJ_OK;
}

/* Properties that ask for what is not supported, and must not be ignored. */
static pj_status check_properties(pj__streaming *streaming, pj_error *error)
{
	static const char *const refused[] = {"mapreduce.input.pathFilter.class",
					      "stream.io.identifier.resolver.class",
					      "stream.map.input.writer.class",
					      "stream.map.output.reader.class",
					      "stream.reduce.input.writer.class",
					      "stream.reduce.output.reader.class",
					      "mapreduce.job.combiner.group.comparator.class"};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (pj__conf_get(streaming->conf, refused[i]))
			return refuse(error, "this property names a Java class, which is not run", refused[i], NULL);
	const char *const delimiter = pj__conf_get(streaming->conf, "textinputformat.record.delimiter");
	if (delimiter && strcmp(delimiter, "\n") != 0)
		return refuse(error, "records end with lines only", "textinputformat.record.delimiter", NULL);
	const char *const group = pj__conf_get(streaming->conf, "mapreduce.job.output.group.comparator.class");
	const char *const key = pj__conf_get(streaming->conf, "mapreduce.job.output.key.comparator.class");
	if (group && (!key || strcmp(group, key) != 0))
		return refuse(error, "groups are made by the comparator of keys",
			      "mapreduce.job.output.group.comparator.class",
			      "a second key field in values sorted is stream.num.map.output.key.fields=2 with "
			      "KeyFieldBasedPartitioner");
	const char *const reader = pj__request_value(streaming->request, PJ__OPT_INPUTREADER);
	return reader ? refuse(error, "-inputreader: class not found", reader, "Java classes are not run") : PJ_OK;
}

static pj_status settle_reduces(pj__streaming *streaming, pj_error *error)
{
	const char *const option = pj__request_value(streaming->request, PJ__OPT_REDUCES);
	const char *const reducer = pj__request_value(streaming->request, PJ__OPT_REDUCER);
	pj_status status = option ? pj__conf_set(streaming->conf, "mapreduce.job.reduces", option, error) : PJ_OK;
	if (!status && reducer && !strcmp(reducer, "NONE"))
		status = pj__conf_set(streaming->conf, "mapreduce.job.reduces", "0", error);
	int64_t reduces;
	if (!status)
		status = pj__conf_number(streaming->conf, "mapreduce.job.reduces", 0, 65536, 1, &reduces, error);
	if (!status)
		streaming->reduces = (uint64_t)reduces;
	return status;
}

static pj_status settle_order(pj__streaming *streaming, pj_error *error)
{
	const char *partitioner = pj__request_value(streaming->request, PJ__OPT_PARTITIONER);
	if (!partitioner)
		partitioner = pj__conf_get(streaming->conf, "mapred.partitioner.class");
	const char *const comparator = pj__conf_get(streaming->conf, "mapreduce.job.output.key.comparator.class");
	pj__class class = PJ__HASH_PARTITIONER, order = PJ__TEXT_COMPARATOR;
	pj_bytes separator, text;
	pj_status status =
		partitioner ? pj__class_find(PJ__USE_PARTITIONER, "-partitioner", partitioner, &class, error) : PJ_OK;
	if (!status && comparator)
		status = pj__class_find(PJ__USE_COMPARATOR, "mapreduce.job.output.key.comparator.class", comparator,
					&order, error);
	if (!status)
		status = settle_text(streaming->conf, "mapreduce.map.output.key.field.separator", "\t", &separator,
				     error);
	if (!status)
		status = settle_text(streaming->conf, "mapreduce.partition.keypartitioner.options", "", &text, error);
	const char *const fields = pj__conf_get(streaming->conf, "num.key.fields.for.partition");
	char shorthand[64];
	snprintf(shorthand, sizeof shorthand, "-k1,%s", fields ? fields : "");
	streaming->parts_by_fields = class == PJ__FIELD_PARTITIONER;
	if (!status && streaming->parts_by_fields)
		status =
			pj__fields_parse(&streaming->partition, fields ? shorthand : text.ptr, separator.ptr[0], error);
	if (!status)
		status = settle_text(streaming->conf, "mapreduce.partition.keycomparator.options", "", &text, error);
	if (!status && order == PJ__FIELD_COMPARATOR)
		status = pj__fields_parse(&streaming->order, text.ptr, separator.ptr[0], error);
	streaming->job.keys = (pj_keys){
		.part = part_of, .compare = order == PJ__FIELD_COMPARATOR ? compare_keys : NULL, .arg = streaming};
	return status;
}

static pj_status settle_records(pj__streaming *streaming, pj_error *error)
{
	const char *format = pj__request_value(streaming->request, PJ__OPT_INPUTFORMAT);
	const char *const written = pj__request_value(streaming->request, PJ__OPT_OUTPUTFORMAT);
	pj__records *const records = &streaming->records;
	pj__class class = PJ__TEXT_OUTPUT;
	pj_bytes separator;
	int64_t longest;
	records->format = PJ__TEXT_INPUT;
	pj_status status =
		format ? pj__class_find(PJ__USE_INPUT_FORMAT, "-inputformat", format, &records->format, error) : PJ_OK;
	if (!status && written)
		status = pj__class_find(PJ__USE_OUTPUT_FORMAT, "-outputformat", written, &class, error);
	if (!status)
		status = settle_text(streaming->conf, "mapreduce.input.keyvaluelinerecordreader.key.value.separator",
				     "\t", &separator, error);
	if (!status)
		status = pj__conf_number(streaming->conf, "mapreduce.input.linerecordreader.line.maxlength", 1,
					 INT64_MAX, INT64_MAX, &longest, error);
	if (status)
		return status;
	records->separator = separator.ptr[0];
	records->longest = (uint64_t)longest;
	return PJ_OK;
}

static pj__form form_of(const pj__streaming *streaming, const char *property)
{
	const char *const io = pj__request_value(streaming->request, PJ__OPT_IO);
	const char *const id = io ? io : pj__conf_get(streaming->conf, property);
	static const struct {
		const char *id;
		pj__form form;
	} forms[] = {{"rawbytes", PJ__FORM_RAW}, {"typedbytes", PJ__FORM_TYPED}, {"keyonlytext", PJ__FORM_KEY_ONLY}};
	for (size_t i = 0; id && i < sizeof forms / sizeof *forms; i++)
		if (!strcasecmp(id, forms[i].id))
			return forms[i].form;
	return PJ__FORM_TEXT;
}

/* Both sides of what is "map" or "reduce" in the names of properties. */
static pj_status settle_talk(pj__streaming *streaming, const char *phase, pj__talk *talk, pj_error *error)
{
	char name[64];
	int64_t fields;
	snprintf(name, sizeof name, "stream.%s.input", phase);
	talk->in = form_of(streaming, name);
	snprintf(name, sizeof name, "stream.%s.output", phase);
	talk->out = form_of(streaming, name);
	snprintf(name, sizeof name, "stream.%s.input.field.separator", phase);
	pj_status status = settle_text(streaming->conf, name, "\t", &talk->in_separator, error);
	snprintf(name, sizeof name, "stream.%s.output.field.separator", phase);
	if (!status)
		status = settle_text(streaming->conf, name, "\t", &talk->out_separator, error);
	snprintf(name, sizeof name, "stream.num.%s.output.key.fields", phase);
	if (!status)
		status = pj__conf_number(streaming->conf, name, INT32_MIN, INT32_MAX, 1, &fields, error);
	if (!status)
		status = settle_text(streaming->conf, "mapreduce.output.textoutputformat.separator", "\t",
				     &talk->final_separator, error);
	if (status)
		return status;
	talk->key_fields = fields > 1 ? (unsigned)fields : 1;
	talk->records = &streaming->records;
	return PJ_OK;
}

/* --------------------------------------------------------------------------------------------------------- programs */

static pj_status settle_program(pj__streaming *streaming, pj__side *side, const char *command, pj_error *error)
{
	pj_status status = pj__command_words(command, &side->words, error);
	if (status)
		return status;
	status = pj__folder_program(&streaming->folder, side->words[0], &side->program, error);
	if (status)
		return status;
	side->words[0] = side->program;
	const char *const prefix = pj__conf_get(streaming->conf, "stream.stderr.reporter.prefix");
	side->streaming = streaming;
	side->command = (pj_command){
		.argv = (const char *const *)side->words,
		.write = side == &streaming->map ? pj__talk_write_line : pj__talk_write_pair,
		.read = pj__talk_read,
		.may_fail = !pj__conf_bool(streaming->conf, "stream.non.zero.exit.is.failure", true),
		.prefix = prefix ? prefix : "reporter:",
		.prepare = prepare,
		.done = done,
		.said = said,
		.arg = side,
	};
	return PJ_OK;
}

static pj_status settle_mapper(pj__streaming *streaming, pj_error *error)
{
	const char *const command = pj__request_value(streaming->request, PJ__OPT_MAPPER);
	pj__talk *const talk = &streaming->map.talk;
	streaming->native.mapper = PJ__IDENTITY_MAPPER;
	pj_status status = settle_talk(streaming, "map", talk, error);
	if (!status && command && pj__is_class_name(command))
		status = pj__class_find(PJ__USE_MAPPER, "-mapper", command, &streaming->native.mapper, error);
	if (status)
		return status;
	talk->is_final = !streaming->reduces;
	talk->ignores_key = pj__conf_bool(streaming->conf, "stream.map.input.ignoreKey",
					  streaming->records.format == PJ__TEXT_INPUT && talk->in == PJ__FORM_TEXT);
	if (!command || pj__is_class_name(command)) {
		talk->out = PJ__FORM_TEXT;
		streaming->native.map = *talk;
		pj__native_set_mapper(&streaming->native, &streaming->job.mapper);
		return PJ_OK;
	}
	status = settle_program(streaming, &streaming->map, command, error);
	/* what the engine can do itself it does faster */
	if (!talk->is_final && talk->out == PJ__FORM_TEXT) {
		streaming->map.command.read = NULL;
		streaming->map.command.cr_ends = true;
		streaming->map.command.separator = talk->out_separator;
		streaming->map.command.key_fields = talk->key_fields;
	}
	streaming->job.mapper.command = &streaming->map.command;
	return status;
}

/* Sets the combiner. A program is used as one only if the reducer is a program as well. */
static pj_status settle_combiner(pj__streaming *streaming, const char *command, pj_error *error)
{
	pj__class class = PJ__NO_CLASS;
	pj_status status = settle_talk(streaming, "reduce", &streaming->combine.talk, error);
	if (!status && pj__is_class_name(command))
		return pj__class_find(PJ__USE_REDUCER, "-combiner", command, &class, error);
	/* combining is optional: without a reducer that is a program, the combiner is not called */
	if (status || !streaming->job.reducer.command)
		return status;
	streaming->combine.talk.pairs = streaming->map.talk.out;
	status = settle_program(streaming, &streaming->combine, command, error);
	streaming->job.reducer.combine_command = &streaming->combine.command;
	return status;
}

static pj_status settle_reducer(pj__streaming *streaming, pj_error *error)
{
	const char *const command = pj__request_value(streaming->request, PJ__OPT_REDUCER);
	const char *const combiner = pj__request_value(streaming->request, PJ__OPT_COMBINER);
	const bool aggregates = command && !strcasecmp(command, "aggregate");
	pj__talk *const talk = &streaming->reduce.talk;
	pj_status status = settle_talk(streaming, "reduce", talk, error);
	talk->pairs = streaming->map.talk.out;
	talk->is_final = true;
	streaming->native.reducer = aggregates ? PJ__AGGREGATE_REDUCER : PJ__IDENTITY_REDUCER;
	if (!status && command && !aggregates && pj__is_class_name(command))
		status = pj__class_find(PJ__USE_REDUCER, "-reducer", command, &streaming->native.reducer, error);
	if (status)
		return status;
	if (!command || aggregates || pj__is_class_name(command)) {
		streaming->native.reduce = *talk;
		streaming->native.reduce.out = talk->pairs;
		pj__native_set_reducer(&streaming->native, &streaming->job.reducer);
	} else {
		status = settle_program(streaming, &streaming->reduce, command, error);
		streaming->job.reducer.command = &streaming->reduce.command;
	}
	if (!status)
		status = pj__conf_number(streaming->conf, "aggregate.max.num.unique.values", 0, INT64_MAX, INT64_MAX,
					 &streaming->native.most_unique, error);
	return status || !combiner || aggregates ? status : settle_combiner(streaming, combiner, error);
}

/* ------------------------------------------------------------------------------------------------- input and output */

static pj_status exists(const pj__streaming *streaming, pj_error *error)
{
	return pj__fail(error, PJ_ERR_EXISTS, 0, NULL, "Output directory file:%s already exists", streaming->output);
}

static pj_status settle_output(pj__streaming *streaming, pj_error *error)
{
	const char *path;
	pj_status status = pj__plain_path(pj__request_value(streaming->request, PJ__OPT_OUTPUT), &path, error);
	if (status)
		return PJ_ERR_USAGE;
	char *const here = path[0] == '/' ? NULL : getcwd(NULL, 0);
	if (path[0] != '/' && !here)
		return pj__fail(error, PJ_ERR_OUTPUT, errno, NULL, "cannot tell the current folder");
	size_t len = strlen(path);
	while (len > 1 && (path[len - 1] == '/' || (path[len - 1] == '.' && path[len - 2] == '/')))
		len--;
	if (asprintf(&streaming->output, "%s%s%.*s", here ? here : "", here ? "/" : "", (int)len, path) < 0)
		streaming->output = NULL;
	free(here);
	if (!streaming->output)
		return pj__no_memory(error, len);
	struct stat is;
	/* the folders above the output will exist as well */
	const bool is_above = !strcmp(strrchr(streaming->output, '/'), "/..");
	return is_above || lstat(streaming->output, &is) == 0 ? exists(streaming, error) : PJ_OK;
}

/*
 * Map tasks show only in an output without reducers: there they are Hadoop's own. Otherwise they are as many as a large
 * machine can use, but each worth the start of a program.
 */
static pj_status settle_input(pj__streaming *streaming, pj_error *error)
{
	int64_t maps, lines, least, block;
	const bool wished = pj__conf_get(streaming->conf, "mapreduce.job.maps") != NULL;
	pj_status status =
		pj__files_list(&streaming->files, &streaming->request->given[PJ__OPT_INPUT], streaming->conf, error);
	if (!status)
		status = pj__conf_number(streaming->conf, "mapreduce.job.maps", 0, INT32_MAX,
					 streaming->reduces ? 32 : 1, &maps, error);
	if (!status)
		status = pj__conf_number(streaming->conf, "mapreduce.input.lineinputformat.linespermap", 1, INT32_MAX,
					 1, &lines, error);
	if (!status)
		status = pj__conf_number(streaming->conf, "mapreduce.input.fileinputformat.split.minsize", 0, INT64_MAX,
					 streaming->reduces && !wished ? (int64_t)(2 * mib) : 1, &least, error);
	if (!status)
		status = pj__conf_number(streaming->conf, "fs.local.block.size", 1, INT64_MAX, (int64_t)(32 * mib),
					 &block, error);
	if (status)
		return status;
	const pj__cutting cutting = {
		.lines = streaming->records.format == PJ__NLINE_INPUT ? (uint64_t)lines : 0,
		.maps = maps > 1 ? (uint64_t)maps : 1,
		.least = least > 1 ? (uint64_t)least : 1,
		.most = (uint64_t)block,
		.stop = streaming->options.stop,
	};
	return pj__files_cut(&streaming->files, &cutting, error);
}

static pj_status ship(pj__streaming *streaming, pj_error *error)
{
	const pj__request *const request = streaming->request;
	const pj__strings *const files[] = {&request->given[PJ__OPT_FILE], &request->files,
					    &request->given[PJ__OPT_CACHE_FILE]};
	const pj__strings *const archives[] = {&request->archives, &request->given[PJ__OPT_CACHE_ARCHIVE]};
	pj_status status = pj__folder_create(&streaming->folder, streaming->output, streaming->options.stop, error);
	if (!status && asprintf(&streaming->made, "%s/output/", streaming->folder.path) < 0) {
		streaming->made = NULL;
		status = pj__no_memory(error, strlen(streaming->folder.path));
	}
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		for (size_t j = 0; !status && j < files[i]->count; j++) {
			if (i == 2 && !strchr(files[i]->at[j], '#'))
				return refuse(error, "You need to specify the uris as scheme://path#linkname",
					      files[i]->at[j], NULL);
			status = pj__folder_ship(&streaming->folder, files[i]->at[j], error);
		}
	for (size_t i = 0; i < sizeof archives / sizeof *archives; i++)
		for (size_t j = 0; !status && j < archives[i]->count; j++) {
			if (i == 1 && !strchr(archives[i]->at[j], '#'))
				return refuse(error, "You need to specify the uris as scheme://path#linkname",
					      archives[i]->at[j], NULL);
			status = pj__folder_ship_archive(&streaming->folder, archives[i]->at[j], error);
		}
	return status;
}

/* ------------------------------------------------------------------------------------------------------ environment */

/* Sets a property that the user has not. */
static pj_status set_default(pj__conf *conf, const char *name, const char *value, pj_error *error)
{
	return pj__conf_get(conf, name) || !value ? PJ_OK : pj__conf_set(conf, name, value, error);
}

static pj_status set_uris(pj__streaming *streaming, pj_error *error)
{
	pj_text text = {0};
	const pj__strings *const inputs = &streaming->request->given[PJ__OPT_INPUT];
	for (size_t i = 0; i < inputs->count; i++) {
		if (i)
			pj__text_byte(&text, ',');
		pj_text_bytes(&text, pj_bytes_of(inputs->at[i]));
	}
	pj__text_byte(&text, 0);
	pj_status status = text.failed ? pj__no_memory(error, text.len)
				       : pj__conf_set(streaming->conf, "mapreduce.input.fileinputformat.inputdir",
						      text.data, error);
	pj__text_reset(&text);
	pj_text_bytes(&text, pj_bytes_of("file:"));
	pj_text_bytes(&text, pj_bytes_of(streaming->output));
	pj__text_byte(&text, 0);
	if (!status)
		status = text.failed ? pj__no_memory(error, text.len)
				     : pj__conf_set(streaming->conf, "mapreduce.output.fileoutputformat.outputdir",
						    text.data, error);
	pj__text_fini(&text);
	return status;
}

static pj_status settle_environment(pj__streaming *streaming, pj_error *error)
{
	pj__conf *const conf = streaming->conf;
	int64_t longest;
	pj_status status =
		pj__conf_number(conf, "stream.jobconf.truncate.limit", INT64_MIN, INT64_MAX, -1, &longest, error);
	if (!status)
		status = set_default(conf, "mapreduce.job.name", "streamjob.jar", error);
	if (!status)
		status = set_default(conf, "mapreduce.job.user.name", getenv("USER"), error);
	if (!status)
		status = set_default(conf, "mapreduce.framework.name", "local", error);
	char *const here = getcwd(NULL, 0);
	if (!status)
		status = set_default(conf, "mapreduce.job.working.dir", here, error);
	free(here);
	if (!status)
		status = set_uris(streaming, error);
	streaming->environment = (pj__environment){.conf = conf,
						   .added = &streaming->request->given[PJ__OPT_CMDENV],
						   .files = &streaming->files,
						   .stamp = streaming->stamp,
						   .maps = streaming->files.cut_count,
						   .reduces = streaming->reduces,
						   .longest_value = longest};
	return status;
}

/* By the codec's name; the format of Hadoop's own default is read by nothing else. */
static pj_status settle_compression(pj__streaming *streaming, pj_compression *ret_compression, pj_error *error)
{
	static const struct {
		const char *name;
		pj_compression compression;
	} codecs[] = {{"GzipCodec", PJ_GZ}, {"BZip2Codec", PJ_BZ2}, {"ZStandardCodec", PJ_ZST}};
	static const char package[] = "org.apache.hadoop.io.compress.";
	static const char property[] = "mapreduce.output.fileoutputformat.compress.codec";
	*ret_compression = PJ_PLAIN;
	if (!pj__conf_bool(streaming->conf, "mapreduce.output.fileoutputformat.compress", false))
		return PJ_OK;
	const char *const codec = pj__conf_get(streaming->conf, property);
	const size_t len = sizeof package - 1;
	for (size_t i = 0; codec && i < sizeof codecs / sizeof *codecs; i++)
		if (!strncmp(codec, package, len) && !strcmp(codec + len, codecs[i].name)) {
			*ret_compression = codecs[i].compression;
			return PJ_OK;
		}
	return refuse(error, property, codec ? codec : "DefaultCodec",
		      "there are GzipCodec, BZip2Codec and ZStandardCodec in org.apache.hadoop.io.compress");
}

static pj_status settle_options(pj__streaming *streaming, pj_error *error)
{
	pj_options *const options = &streaming->options;
	const char *const workers = pj__conf_get(streaming->conf, "papjuice.workers");
	const char *const memory = pj__conf_get(streaming->conf, "papjuice.memory");
	int64_t map_attempts, reduce_attempts, timeout;
	if (workers && !pj__read_workers(workers, &options->workers))
		return refuse(error, "papjuice.workers is not a valid number of workers", workers, NULL);
	if (memory && !pj__read_memory(memory, &options->memory))
		return refuse(error, "papjuice.memory is not a valid amount of memory", memory, NULL);
	pj_status status =
		pj__conf_number(streaming->conf, "mapreduce.map.maxattempts", 1, 1000, 4, &map_attempts, error);
	if (!status)
		status = pj__conf_number(streaming->conf, "mapreduce.reduce.maxattempts", 1, 1000, 4, &reduce_attempts,
					 error);
	if (!status)
		status = pj__conf_number(streaming->conf, "mapreduce.task.timeout", 0, UINT_MAX, 600000, &timeout,
					 error);
	if (status)
		return status;
	options->attempts = (unsigned)(map_attempts > reduce_attempts ? map_attempts : reduce_attempts);
	options->timeout_ms = (unsigned)timeout;
	options->partitions = streaming->reduces;
	options->temp = NULL;
	options->input = (pj_input){.paths = (const char *const *)streaming->files.paths.at,
				    .path_count = streaming->files.paths.count,
				    .pieces = streaming->files.pieces,
				    .piece_count = streaming->files.cut_count};
	options->output = (pj_output){.path = streaming->made, .columns = PJ_KEY_ONLY};
	return settle_compression(streaming, &options->output.compression, error);
}

/* ----------------------------------------------------------------------------------------------------- all together */

static void make_stamp(char *stamp, size_t size)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(stamp, size, "%lld_0001", (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

pj_status pj__streaming_init(pj__streaming *streaming, pj__request *request, const volatile sig_atomic_t *stop,
			     pj_error *error)
{
	*streaming = (pj__streaming){.request = request, .conf = &request->conf, .options = {.stop = stop}};
	streaming->job = (pj_job){.abi = PJ_ABI, .name = "streaming"};
	make_stamp(streaming->stamp, sizeof streaming->stamp);
	pj_status (*const steps[])(pj__streaming * streaming, pj_error * error) = {
		check_properties, settle_reduces, settle_order,       settle_records, settle_output, settle_input, ship,
		settle_mapper,    settle_reducer, settle_environment, settle_options};
	pj_status status = PJ_OK;
	for (size_t i = 0; !status && i < sizeof steps / sizeof *steps; i++)
		if (streaming->reduces || steps[i] != settle_reducer)
			status = steps[i](streaming, error);
	streaming->job.map_only = !streaming->reduces;
	streaming->lazy = request->has[PJ__OPT_LAZY];
	streaming->marks_success =
		pj__conf_bool(streaming->conf, "mapreduce.fileoutputcommitter.marksuccessfuljobs", true);
	return status;
}

/* Removes a file of the output; one that is not there is fine. */
static pj_status remove_file(const char *folder, const char *name, pj_error *error)
{
	char *path;
	if (asprintf(&path, "%s%s", folder, name) < 0)
		return pj__no_memory(error, strlen(folder));
	pj_status status = PJ_OK;
	if (unlink(path) < 0 && errno != ENOENT)
		status = pj__fail(error, PJ_ERR_OUTPUT, errno, path, "cannot remove the file");
	free(path);
	return status;
}

/* With -lazyOutput a part without a record has no file. */
static pj_status remove_empty(const pj__streaming *streaming, pj_error *error)
{
	const uint64_t parts = streaming->reduces ? streaming->reduces : streaming->files.cut_count;
	pj_status status = PJ_OK;
	for (uint64_t i = 0; !status && i < parts; i++) {
		char *path, name[32];
		struct stat is;
		snprintf(name, sizeof name, "part-%05llu", (unsigned long long)i);
		if (asprintf(&path, "%s%s", streaming->made, name) < 0)
			return pj__no_memory(error, strlen(streaming->made));
		if (stat(path, &is) == 0 && !is.st_size)
			status = remove_file(streaming->made, name, error);
		free(path);
	}
	return status;
}

pj_status pj__streaming_finish(pj__streaming *streaming, pj_error *error)
{
	pj_status status = streaming->lazy ? remove_empty(streaming, error) : PJ_OK;
	if (!status && !streaming->marks_success)
		status = remove_file(streaming->made, "_SUCCESS", error);
	if (!status)
		status = pj__folder_promote(&streaming->folder, streaming->made, error);
	const int failed = status ? 0 : pj__rename_new(AT_FDCWD, streaming->made, AT_FDCWD, streaming->output);
	if (failed)
		status = failed == EEXIST ? exists(streaming, error)
					  : pj__fail(error, PJ_ERR_OUTPUT, failed, streaming->output,
						     "cannot give the output its name");
	return status;
}

static void fini_side(pj__side *side)
{
	pj__talk_fini(&side->talk);
	free(side->words);
	free(side->program);
}

void pj__streaming_fini(pj__streaming *streaming)
{
	fini_side(&streaming->map);
	fini_side(&streaming->combine);
	fini_side(&streaming->reduce);
	pj__native_fini(&streaming->native);
	pj__files_fini(&streaming->files);
	pj__folder_destroy(&streaming->folder);
	free(streaming->output);
	free(streaming->made);
}
