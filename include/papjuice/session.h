/*
 * session.h: a pool of workers that stays, for several runs one after another.
 *
 * An algorithm that runs a job again and again (k-means, PageRank) opens a session once and runs its jobs in it, each
 * time with new parameters. The workers are forked once; their tables, buffers and files stay, so a run touches no
 * fresh memory; the input is planned once.
 *
 *     pj_session *session;
 *     pj_session_open(&job, 1, &options, &session, &error);
 *     for (int i = 0; i < 10; i++) {
 *             const pj_bytes params = {(const char *)centers, sizeof centers};
 *             pj_session_run(session, 0, params, &output, &result, &error);    output.pair moves the centers
 *     }
 *     pj_session_close(session);
 *
 * A session belongs to the thread that opened it, which must live until it is closed; several sessions may be open.
 * Files of the input must not change while it is open. What is promised of a run (job.h) holds for each run of a
 * session.
 */
#ifndef PAPJUICE_SESSION_H
#define PAPJUICE_SESSION_H

#include <papjuice/job.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pj_session pj_session;

/*
 * Plans the input of each of `count` jobs (its own, or that of the options) and gets ready to run them. `options`
 * (NULL: defaults) hold for all runs, except output and params; the jobs, and what they and the options point to, must
 * outlive the session. The caller owns *ret_session. Workers are forked at the first run.
 *
 * PJ_ERR_USAGE: a job that cannot be run, no job, an input that is a stream (it could be read only once), an engine
 * that cannot stay (the reference), the sorter `shared`. PJ_ERR_INPUT, PJ_ERR_MEMORY, PJ_ERR_RESOURCE.
 */
PJ_API PJ_MUST_USE pj_status pj_session_open(const pj_job *jobs, size_t count, const pj_options *options,
					     pj_session **ret_session, pj_error *error);

/*
 * Runs job `index` and waits for its end, as pj_run does, with `params` (copied) for every task and the results to
 * `output` (NULL: that of the options or the job). Returns what pj_run returns. A run that fails does no harm to the
 * next one: its workers are forked anew.
 */
PJ_API PJ_MUST_USE pj_status pj_session_run(pj_session *session, size_t index, pj_bytes params, const pj_output *output,
					    pj_result *ret_result, pj_error *error);

/* Ends the workers and gives everything back. NULL is fine. */
PJ_API void pj_session_close(pj_session *session);

#ifdef __cplusplus
}
#endif
#endif
