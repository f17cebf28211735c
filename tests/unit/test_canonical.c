// SPDX-License-Identifier: Apache-2.0
// Canonical operations and results between processes: what is written reads back equal, and
// what did not come from us is refused.
#include "facade/canonical.h"
#include "facade/evidence/compare.h"
#include "tests/unit/legacy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct entity_set *maps;
static struct arena *arena;

static int set_up(void **state)
{
    (void)state;
    maps = fixture_maps();
    arena = arena_create(0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    map_destroy(maps);
    arena_destroy(arena);
    return 0;
}

static const struct entity *entity(const char *name)
{
    return entity_find(maps, str_of(name));
}

static const struct field *field(const char *en, const char *name)
{
    const struct field *f = entity_field(entity(en), str_of(name));
    assert_non_null(f);
    return f;
}

static json_t *parse(struct str text)
{
    json_error_t je;
    json_t *j = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &je);
    if (!j)
        fail_msg("%s: %.*s", je.text, (int)text.len, text.data);
    return j;
}

static struct operation read_back(const struct operation *op)
{
    struct operation out = {.entity = op->entity, .arena = arena};
    struct buf text = BUF_INIT;
    struct err e = {0};
    canonical_write_operation(op, &text);
    json_t *j = parse(buf_str(&text));
    if (canonical_read_operation(j, maps, &out, &e))
        fail_msg("%s: %s", e.msg, text.data);
    // Written again it is the same text: nothing was lost on the way.
    struct buf again = BUF_INIT;
    canonical_write_operation(&out, &again);
    assert_string_equal(text.data, again.data);
    json_decref(j);
    buf_free(&text);
    buf_free(&again);
    return out;
}

static void test_a_list_with_everything(void **state)
{
    (void)state;
    const struct field *fields[] = {field("account", "id"), field("account", "name")};
    const struct field *far[] = {field("contact", "last_name")};
    struct value names[] = {value_set(STR("a \"b\" \\ \xc3\xa9\n")), value_null(),
                            value_set((struct str){"n\0l", 3})};
    struct value zero = {
        .data = "0000-00-00", .len = 10, .state = VALUE_FOREIGN, .problem = PROBLEM_ZERO_DATE};
    struct filter like = {.kind = FILTER_COMPARE,
                          .field = fields[1],
                          .op = MATCH_LIKE,
                          .values = names,
                          .nvalues = 1};
    struct filter in = {
        .kind = FILTER_IN, .field = fields[1], .values = names, .nvalues = 3, .negated = true};
    struct filter date = {.kind = FILTER_COMPARE,
                          .field = field("account", "date_entered"),
                          .op = MATCH_LE,
                          .values = &zero,
                          .nvalues = 1};
    struct filter null = {.kind = FILTER_IS_NULL, .field = fields[1]};
    struct filter *either[] = {&like, &in}, *none[] = {&null};
    struct filter or = {.kind = FILTER_OR, .children = either, .nchildren = 2};
    struct filter not = {.kind = FILTER_NOT, .children = none, .nchildren = 1};
    struct filter group = {.kind = FILTER_IN,
                           .field = field("security_group_record", "securitygroup_id"),
                           .values = names,
                           .nvalues = 2};
    struct filter *of[] = {&group};
    struct filter linked = {.kind = FILTER_LINKED,
                            .link = entity("security_group_record"),
                            .field = field("security_group_record", "record_id"),
                            .children = of,
                            .nchildren = 1};
    struct filter never = {.kind = FILTER_OR};
    struct filter *all[] = {& or, &not, &date, &linked, &never};
    struct filter and = {.kind = FILTER_AND, .children = all, .nchildren = 5};
    struct order order[] = {{fields[1], true}, {fields[0], false}};
    struct value parent = value_set(STR("p1"));
    struct related related = {
        .relationship = entity_relationship(entity("contact"), STR("accounts")),
        .parent = entity("contact"),
        .parent_key = &parent,
        .nparent_key = 1};
    struct expansion expansion = {
        .relationship = entity_relationship(entity("account"), STR("contacts")),
        .fields = far,
        .nfields = 1,
        .filter = &linked,
        .limit = 3};
    struct operation op = {.kind = OPERATION_LIST,
                           .entity = entity("account"),
                           .arena = arena,
                           .want_total = true,
                           .expansions = &expansion,
                           .nexpansions = 1,
                           .query = {.entity = entity("account"),
                                     .fields = fields,
                                     .nfields = 2,
                                     .filter = &and,
                                     .related = &related,
                                     .order = order,
                                     .norder = 2,
                                     .limit = 20,
                                     .offset = 40,
                                     .deleted = DELETED_ANY,
                                     .keys = names,
                                     .nkeys = 1}};
    struct operation out = read_back(&op);
    const struct filter *f = out.query.filter->children[0]->children[1];
    assert_int_equal(f->kind, FILTER_IN);
    assert_true(f->negated);
    assert_true(value_eq(f->values[2], names[2]));
    f = out.query.filter->children[2];
    assert_int_equal(f->values[0].state, VALUE_FOREIGN);
    assert_int_equal(f->values[0].problem, PROBLEM_ZERO_DATE);
    assert_ptr_equal(out.query.related->relationship, related.relationship);
    assert_ptr_equal(out.expansions[0].fields[0], far[0]);
    for (int i = 0; i < 2; i++) {
        f = i ? out.expansions[0].filter : out.query.filter->children[3];
        assert_ptr_equal(f->link, linked.link);
        assert_ptr_equal(f->field, linked.field);
        assert_ptr_equal(f->children[0]->field, group.field);
        assert_int_equal(f->children[0]->nvalues, 2);
    }
    assert_true(filter_looks_at(out.query.filter, STR("security_group_record")));
    assert_false(filter_looks_at(out.query.filter, STR("account")));
    assert_int_equal(out.query.filter->children[4]->nchildren, 0);
    assert_int_equal(out.query.deleted, DELETED_ANY);
}

static void test_writes(void **state)
{
    (void)state;
    struct value key = value_set(STR("a1")), far[] = {value_set(STR("c1")), value_set(STR("c2"))};
    struct value *values = arena_array(arena, entity("account")->nfields, sizeof *values);
    values[field("account", "name")->index] = value_set(STR("N"));
    values[field("account", "industry")->index] = value_null();
    struct operation op = {
        .kind = OPERATION_UPDATE,
        .entity = entity("account"),
        .arena = arena,
        .write = {.key = &key, .values = values, .now = "2024-02-29 23:59:59", .actor = STR("1")}};
    struct operation out = read_back(&op);
    assert_int_equal(out.write.values[field("account", "industry")->index].state, VALUE_NULL);
    assert_int_equal(out.write.values[field("account", "id")->index].state, VALUE_ABSENT);
    op.kind = OPERATION_RELATE;
    op.relate = (struct relate){
        .relationship = entity_relationship(entity("account"), STR("contacts")),
        .near = key,
        .far = far,
        .nfar = 2,
        .remove = true};
    out = read_back(&op);
    assert_int_equal(out.relate.nfar, 2);
    assert_true(out.relate.remove);
}

static void test_results(void **state)
{
    (void)state;
    const struct field *fields[] = {field("account", "id"), field("account", "name")};
    struct expansion expansion = {
        .relationship = entity_relationship(entity("account"), STR("contacts")),
        .fields = fields,
        .nfields = 1,
        .limit = -1};
    struct operation op = {.kind = OPERATION_LIST,
                           .entity = entity("account"),
                           .arena = arena,
                           .want_total = true,
                           .expansions = &expansion,
                           .nexpansions = 1,
                           .query = {.fields = fields, .nfields = 2}};
    struct value row[] = {value_set(STR("a1")), value_null()}, far[] = {value_set(STR("c1"))};
    struct value odd[] = {
        value_set(STR("a2")),
        {.data = "x", .len = 1, .state = VALUE_FOREIGN, .problem = PROBLEM_TOO_LONG}};
    struct record people = {.values = far};
    struct record_set related[] = {{&people, 1}}, empty[] = {{NULL, 0}};
    struct record rows[] = {{row, related}, {odd, empty}};
    struct result r = {.status = RESULT_OK, .records = {rows, 2}, .total = 7}, out;
    struct mismatch m[MISMATCHES_MAX];
    struct buf text = BUF_INIT;
    struct err e = {0};
    canonical_write_result(&op, &r, &text);
    json_t *j = parse(buf_str(&text));
    assert_int_equal(canonical_read_result(&op, j, &out, &e), 0);
    assert_int_equal(result_compare(&op, &r, &out, arena, m), 0);
    assert_int_equal(out.total, 7);
    json_decref(j);
    buf_reset(&text);
    struct result bad = {.status = RESULT_INVALID, .total = -1};
    err_set(&bad.err, ERR_VALUE, "too \"long\"");
    canonical_write_result(&op, &bad, &text);
    j = parse(buf_str(&text));
    assert_int_equal(canonical_read_result(&op, j, &out, &e), 0);
    assert_int_equal(out.status, RESULT_INVALID);
    assert_string_equal(out.err.msg, "too \"long\"");
    json_decref(j);
    buf_free(&text);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{}",
        "[]",
        "null",
        "{\"kind\":\"drop\"}",
        "{\"kind\":\"get\",\"fields\":[\"id\"]}",
        "{\"kind\":\"get\",\"fields\":[\"id\"],\"key\":[\"a\",\"b\"]}",
        "{\"kind\":\"get\",\"fields\":[\"id\"],\"key\":[1]}",
        "{\"kind\":\"get\",\"fields\":[\"id\"],\"key\":[{\"raw\":\"x\"}]}",
        "{\"kind\":\"list\",\"fields\":[\"id; DROP TABLE\"]}",
        "{\"kind\":\"list\",\"fields\":[\"id\"],\"order\":[[\"nothing\",true]]}",
        "{\"kind\":\"list\",\"fields\":[\"id\"],\"offset\":-1}",
        "{\"kind\":\"list\",\"fields\":[\"id\"],\"filter\":{\"kind\":\"and\",\"of\":[]}}",
        "{\"kind\":\"list\",\"fields\":[\"id\"],\"filter\":{\"kind\":\"sql\"}}",
        "{\"kind\":\"list\",\"fields\":[\"id\"],\"filter\":{\"kind\":\"linked\",\"link\":\"user\","
        "\"field\":\"user_hash\",\"of\":[{\"kind\":\"or\",\"of\":[]}]}}",
        "{\"kind\":\"list\",\"fields\":[\"id\"],\"filter\":{\"kind\":\"linked\",\"link\":\"nothing\","
        "\"field\":\"id\",\"of\":[{\"kind\":\"or\",\"of\":[]}]}}",
        "{\"kind\":\"list\",\"fields\":[\"id\"],\"filter\":{\"kind\":\"linked\",\"link\":\"user\","
        "\"field\":\"id\",\"of\":[]}}",
        "{\"kind\":\"list\",\"fields\":[\"id\"],\"filter\":{\"kind\":\"compare\",\"op\":\"=\","
        "\"field\":\"id\",\"values\":[]}}",
        "{\"kind\":\"list\",\"fields\":[\"id\"],\"filter\":{\"kind\":\"compare\",\"op\":\"~\","
        "\"field\":\"id\",\"values\":[\"1\"]}}",
        "{\"kind\":\"list\",\"fields\":[\"id\"],\"related\":{\"parent\":\"account\","
        "\"relationship\":\"contacts\",\"key\":[\"1\"]}}",
        "{\"kind\":\"list\",\"fields\":[\"id\"],\"related\":{\"parent\":\"contact\","
        "\"relationship\":\"accounts\",\"key\":[]}}",
        "{\"kind\":\"list\",\"fields\":[\"id\"],\"expand\":[{\"relationship\":\"enemies\"}]}",
        "{\"kind\":\"update\",\"values\":{\"name\":\"x\"}}",
        "{\"kind\":\"update\",\"key\":[\"1\"],\"values\":{\"nothing\":\"x\"}}",
        "{\"kind\":\"update\",\"key\":[\"1\"],\"now\":\"yesterday\"}",
        "{\"kind\":\"relate\",\"relationship\":\"enemies\"}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct operation op = {.entity = entity("account"), .arena = arena};
        struct err e = {0};
        json_error_t je;
        json_t *j = json_loads(bad[i], JSON_DECODE_ANY, &je);
        assert_non_null(j);
        if (canonical_read_operation(j, maps, &op, &e) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(e.code, ERR_INVALID);
        json_decref(j);
    }
}

static void test_a_filter_too_deep(void **state)
{
    (void)state;
    struct buf text = BUF_INIT;
    buf_addz(&text, "{\"kind\":\"list\",\"fields\":[\"id\"],\"filter\":");
    for (int i = 0; i < FILTER_DEPTH_MAX + 2; i++)
        buf_addz(&text, "{\"kind\":\"not\",\"of\":[");
    buf_addz(&text, "{\"kind\":\"null\",\"field\":\"id\",\"values\":[]}");
    for (int i = 0; i < FILTER_DEPTH_MAX + 2; i++)
        buf_addz(&text, "]}");
    buf_addz(&text, "}");
    struct operation op = {.entity = entity("account"), .arena = arena};
    struct err e = {0};
    json_t *j = parse(buf_str(&text));
    assert_int_equal(canonical_read_operation(j, maps, &op, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    json_decref(j);
    buf_free(&text);
}

static void test_secrets_stay(void **state)
{
    (void)state;
    const struct entity *user = entity("user");
    const struct field *secret = NULL;
    for (size_t i = 0; i < user->nfields; i++)
        secret = user->fields[i].secret ? &user->fields[i] : secret;
    assert_non_null(secret);
    struct operation op = {.entity = user, .arena = arena};
    struct err e = {0};
    json_t *j = json_pack("{s:s, s:[s]}", "kind", "list", "fields", secret->name);
    assert_int_equal(canonical_read_operation(j, maps, &op, &e), -1);
    json_decref(j);
    j = json_pack("{s:s, s:[s], s:[[s,b]]}", "kind", "list", "fields", "id", "order", secret->name,
                  0);
    assert_int_equal(canonical_read_operation(j, maps, &op, &e), -1);
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_list_with_everything),
                                       cmocka_unit_test(test_writes),
                                       cmocka_unit_test(test_results),
                                       cmocka_unit_test(test_what_is_refused),
                                       cmocka_unit_test(test_a_filter_too_deep),
                                       cmocka_unit_test(test_secrets_stay)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
