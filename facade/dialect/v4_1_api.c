// SPDX-License-Identifier: Apache-2.0
// The siblings of v4_1 that the legacy serves at paths of their own, as a table of differences:
// which methods and arguments a version does not have yet, and which parts of a reply. Owns no
// state; pure; any thread.
#include "facade/dialect/v4_1_int.h"

#define SINCE_V3 (V4_1_HAS_SUITE_VERSION | V4_1_HAS_USER_FORMATS | V4_1_HAS_FIELD_GROUPS)
#define SINCE_V3_1                                                                             \
    (SINCE_V3 | V4_1_HAS_USER_NUMBERS | V4_1_HAS_ECHO | V4_1_HAS_TOTAL | V4_1_HAS_LIST_LINKS | \
     V4_1_HAS_MODULE_ACLS | V4_1_HAS_FIELD_LINKS | V4_1_HAS_FIELD_TABLE)
#define SINCE_V4                                                                              \
    (SINCE_V3_1 | V4_1_HAS_ENTRIES_LINKS | V4_1_HAS_ALL_DELETED | V4_1_HAS_MODULE_FAVORITES | \
     V4_1_HAS_FIELD_LEN)

// Each version once, oldest first.
static const struct v4_1_api apis[] = {
    {"v2", 20, V4_1_HAS_FIELD_LINKS},
    {"v2_1", 21, V4_1_HAS_FIELD_LINKS | V4_1_HAS_LIST_LINKS},
    {"v3", 30, SINCE_V3},
    {"v3_1", 31, SINCE_V3_1},
    {"v4", 40, SINCE_V4},
    {"v4_1", 41, SINCE_V4},
};

// Before that version there was no such method (0), or it took fewer arguments. Oldest first.
static const struct narrow {
    const char *method;
    unsigned before;
    size_t nargs;
} narrows[] = {
    {"get_module_fields_md5", 30, 0},
    {"get_last_viewed", 30, 0},
    {"get_upcoming_activities", 30, 0},
    {"get_modified_relationships", 41, 0},
    {"get_language_definition", 31, 0},
    {"get_module_layout", 30, 0},
    {"get_module_layout", 31, 5},
    {"get_module_layout_md5", 30, 0},
    {"get_module_layout_md5", 31, 4},
    {"get_available_modules", 30, 1},
    {"get_relationships", 30, 8},
    {"get_relationships", 41, 9},
    {"search_by_module", 30, 5},
    {"search_by_module", 31, 7},
    {"search_by_module", 40, 8},
    {"get_entry", 31, 5},
    {"get_entries", 31, 5},
    {"get_entry_list", 31, 9},
    {"set_entry", 31, 3},
};

const struct v4_1_api *v4_1_api(struct str name)
{
    for (size_t i = 0; i < sizeof(apis) / sizeof(apis[0]); i++)
        if (str_eqz(name, apis[i].name))
            return &apis[i];
    return NULL;
}

size_t v4_1_nargs(const struct v4_1_api *api, const struct v4_1_method *m)
{
    size_t n = 0;

    for (size_t i = 0; i < sizeof(narrows) / sizeof(narrows[0]); i++)
        if (api->number < narrows[i].before && strcmp(m->name, narrows[i].method) == 0)
            return narrows[i].nargs;
    while (m->args[n])
        n++;
    return n;
}

bool v4_1_lacks(const struct v4_1_api *api, const struct v4_1_method *m)
{
    return m->args[0] && v4_1_nargs(api, m) == 0;
}
