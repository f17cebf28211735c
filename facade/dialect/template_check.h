// SPDX-License-Identifier: Apache-2.0
// Trying out an answer when it is loaded.
#ifndef FICUS_FACADE_DIALECT_TEMPLATE_CHECK_H
#define FICUS_FACADE_DIALECT_TEMPLATE_CHECK_H

#include "facade/dialect/template.h"

// Renders the answer with no rows, one and two, full of values and of nulls; what comes out must
// be well-formed JSON or XML where its format is one of these. -1 with `why`.
int template_check_answer(const struct template *t, const struct template_endpoint *en,
                          enum template_outcome o, const struct template_answer *a,
                          struct err *why) FICUS_MUST_CHECK;

#endif
