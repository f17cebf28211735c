// SPDX-License-Identifier: Apache-2.0
// Places where tests kill the process: FAILPOINT("name") raises SIGKILL when the environment
// says FICUS_FAILPOINT=name or name:N (the Nth time it is passed). Compiled to nothing unless
// FICUS_FAILPOINTS is defined. Thread: any.
#ifndef FICUS_BASE_FAILPOINT_H
#define FICUS_BASE_FAILPOINT_H

#ifdef FICUS_FAILPOINTS
void failpoint_pass(const char *name);
#define FAILPOINT(name) failpoint_pass(name)
#else
#define FAILPOINT(name) ((void)0)
#endif

#endif
