// SPDX-License-Identifier: Apache-2.0
// Definitions (config, maps, routes) as hostile text: parse, then look up the line of each
// member of the top level and of its members.
#include "base/json.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_up(const struct json_doc *doc, const json_t *object, const char *at, int depth)
{
    const char *key;
    json_t *value;
    char pointer[256];

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        int n = snprintf(pointer, sizeof(pointer), "%s/%s", at, key);
        if (n < 0 || (size_t)n >= sizeof(pointer))
            continue;
        unsigned line = json_doc_line(doc, pointer);
        if (line > doc->len + 1)
            abort();
        if (depth < 2 && json_is_object(value))
            look_up(doc, value, pointer, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problems p = {0};
    struct json_doc doc;
    struct str text = {(const char *)data, size};

    if (json_doc_parse(&doc, "input", text, &p) == 0) {
        if (p.count > 0)
            abort(); // accepted, and yet a mistake
        look_up(&doc, doc.root, "", 0);
        json_doc_free(&doc);
    } else if (p.count == 0) {
        abort(); // refused without a reason
    }
    problems_free(&p);
    return 0;
}
