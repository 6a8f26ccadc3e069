/*
 * names.c: properties that have an old name and a new one (Hadoop's ConfigUtil and its own deprecations, as far as they
 * change what a streaming job does or sees).
 */
#include "streaming/names.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *now, *before;
} names[] = {
	{"fs.defaultFS", "fs.default.name"},
	{"mapreduce.job.reduces", "mapred.reduce.tasks"},
	{"mapreduce.job.maps", "mapred.map.tasks"},
	{"mapreduce.job.name", "mapred.job.name"},
	{"mapreduce.job.id", "mapred.job.id"},
	{"mapreduce.job.jar", "mapred.jar"},
	{"mapreduce.job.user.name", "user.name"},
	{"mapreduce.job.working.dir", "mapred.working.dir"},
	{"mapreduce.job.local.dir", "job.local.dir"},
	{"mapreduce.task.id", "mapred.tip.id"},
	{"mapreduce.task.attempt.id", "mapred.task.id"},
	{"mapreduce.task.partition", "mapred.task.partition"},
	{"mapreduce.task.ismap", "mapred.task.is.map"},
	{"mapreduce.task.output.dir", "mapred.work.output.dir"},
	{"mapreduce.map.input.file", "map.input.file"},
	{"mapreduce.map.input.start", "map.input.start"},
	{"mapreduce.map.input.length", "map.input.length"},
	{"mapreduce.job.output.key.comparator.class", "mapred.output.key.comparator.class"},
	{"mapreduce.job.output.group.comparator.class", "mapred.output.value.groupfn.class"},
	{"mapreduce.partition.keypartitioner.options", "mapred.text.key.partitioner.options"},
	{"mapreduce.partition.keycomparator.options", "mapred.text.key.comparator.options"},
	{"mapreduce.map.output.key.field.separator", "map.output.key.field.separator"},
	{"mapreduce.output.textoutputformat.separator", "mapred.textoutputformat.separator"},
	{"mapreduce.input.keyvaluelinerecordreader.key.value.separator", "key.value.separator.in.input.line"},
	{"mapreduce.input.linerecordreader.line.maxlength", "mapred.linerecordreader.maxlength"},
	{"mapreduce.input.lineinputformat.linespermap", "mapred.line.input.format.linespermap"},
	{"mapreduce.input.fileinputformat.inputdir", "mapred.input.dir"},
	{"mapreduce.input.fileinputformat.split.minsize", "mapred.min.split.size"},
	{"mapreduce.input.fileinputformat.split.maxsize", "mapred.max.split.size"},
	{"mapreduce.input.fileinputformat.input.dir.recursive", "mapred.input.dir.recursive"},
	{"mapreduce.input.pathFilter.class", "mapred.input.pathFilter.class"},
	{"mapreduce.output.fileoutputformat.outputdir", "mapred.output.dir"},
	{"mapreduce.output.fileoutputformat.compress", "mapred.output.compress"},
	{"mapreduce.output.fileoutputformat.compress.codec", "mapred.output.compression.codec"},
	{"mapreduce.output.fileoutputformat.compress.type", "mapred.output.compression.type"},
	{"mapreduce.map.output.compress", "mapred.compress.map.output"},
	{"mapreduce.map.output.compress.codec", "mapred.map.output.compression.codec"},
	{"mapreduce.output.lazyoutputformat.outputformat", "mapred.lazy.output.format"},
	{"mapreduce.map.maxattempts", "mapred.map.max.attempts"},
	{"mapreduce.reduce.maxattempts", "mapred.reduce.max.attempts"},
	{"mapreduce.map.failures.maxpercent", "mapred.max.map.failures.percent"},
	{"mapreduce.reduce.failures.maxpercent", "mapred.max.reduce.failures.percent"},
	{"mapreduce.task.timeout", "mapred.task.timeout"},
	{"mapreduce.map.speculative", "mapred.map.tasks.speculative.execution"},
	{"mapreduce.reduce.speculative", "mapred.reduce.tasks.speculative.execution"},
	{"mapreduce.task.io.sort.mb", "io.sort.mb"},
	{"mapreduce.task.io.sort.factor", "io.sort.factor"},
	{"mapreduce.map.sort.spill.percent", "io.sort.spill.percent"},
	{"mapreduce.map.combine.minspills", "min.num.spills.for.combine"},
	{"mapreduce.job.skiprecords", "mapred.skip.on"},
	{"mapreduce.task.skip.start.attempts", "mapred.skip.attempts.to.start.skipping"},
	{"mapreduce.map.skip.maxrecords", "mapred.skip.map.max.skip.records"},
	{"mapreduce.reduce.skip.maxgroups", "mapred.skip.reduce.max.skip.groups"},
	{"mapreduce.job.skip.outdir", "mapred.skip.out.dir"},
	{"mapreduce.job.cache.files", "mapred.cache.files"},
	{"mapreduce.job.cache.archives", "mapred.cache.archives"},
	{"mapreduce.job.cache.local.files", "mapred.cache.localFiles"},
	{"mapreduce.job.cache.local.archives", "mapred.cache.localArchives"},
	{"mapreduce.fieldsel.data.field.separator", "mapred.data.field.separator"},
	{"mapreduce.fieldsel.map.output.key.value.fields.spec", "map.output.key.value.fields.spec"},
	{"mapreduce.fieldsel.reduce.output.key.value.fields.spec", "reduce.output.key.value.fields.spec"},
	{"mapreduce.map.debug.script", "mapred.map.task.debug.script"},
	{"mapreduce.reduce.debug.script", "mapred.reduce.task.debug.script"},
};

const char *pj__other_name(const char *name)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (!strcmp(name, names[i].now))
			return names[i].before;
		if (!strcmp(name, names[i].before))
			return names[i].now;
	}
	return NULL;
}
