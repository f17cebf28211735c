// SPDX-License-Identifier: Apache-2.0
// An XML body as a small tree, by expat. A document type is refused, so there are no entities but
// the five of XML itself and nothing is ever fetched; depth and number of nodes are limited.
// Names are taken without their prefix: clients choose prefixes as they like.
#include "facade/dialect/template.h"

#include <expat.h>

struct reading {
    XML_Parser parser;
    struct arena *arena;
    struct xml_node *stack[TEMPLATE_XML_DEPTH + 1];
    struct xml_node **last[TEMPLATE_XML_DEPTH + 1]; // where the next child goes
    struct buf text[TEMPLATE_XML_DEPTH + 1];
    unsigned depth;
    size_t nodes;
    struct err *e;
    bool stopped;
};

static void stop(struct reading *r, enum err_code code, const char *why)
{
    if (!r->stopped)
        err_set(r->e, code, "XML: %s", why);
    r->stopped = true;
    XML_StopParser(r->parser, XML_FALSE);
}

static struct str local_name(const char *name)
{
    const char *colon = strrchr(name, ':');
    return str_of(colon ? colon + 1 : name);
}

static struct xml_node *add(struct reading *r, const char *name)
{
    struct xml_node *n = arena_alloc(r->arena, sizeof *n);
    struct str kept = arena_str(r->arena, local_name(name));
    if (!n || !kept.data) {
        stop(r, ERR_MEMORY, "out of memory");
        return NULL;
    }
    if (++r->nodes > TEMPLATE_XML_NODES) {
        stop(r, ERR_LIMIT, "too many elements");
        return NULL;
    }
    n->name = kept;
    *r->last[r->depth] = n;
    r->last[r->depth] = &n->next;
    return n;
}

static void XMLCALL on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
    struct reading *r = ctx;
    if (r->stopped)
        return;
    if (r->depth == TEMPLATE_XML_DEPTH) {
        stop(r, ERR_LIMIT, "too many levels");
        return;
    }
    struct xml_node *n = add(r, name);
    if (!n)
        return;
    r->depth++;
    r->stack[r->depth] = n;
    r->last[r->depth] = &n->children;
    buf_reset(&r->text[r->depth]);
    for (; !r->stopped && attributes[0]; attributes += 2) {
        struct xml_node *a = add(r, attributes[0]);
        if (!a)
            return;
        a->attribute = true;
        a->text = arena_str(r->arena, str_of(attributes[1]));
        if (!a->text.data)
            stop(r, ERR_MEMORY, "out of memory");
    }
}

static void XMLCALL on_text(void *ctx, const XML_Char *s, int len)
{
    struct reading *r = ctx;
    if (!r->stopped)
        buf_add(&r->text[r->depth], s, (size_t)len);
}

static void XMLCALL on_end(void *ctx, const XML_Char *name)
{
    struct reading *r = ctx;
    (void)name;
    if (r->stopped)
        return;
    struct xml_node *n = r->stack[r->depth];
    n->text = arena_str(r->arena, buf_str(&r->text[r->depth]));
    if (!n->text.data || r->text[r->depth].failed)
        stop(r, ERR_MEMORY, "out of memory");
    r->depth--;
}

static void XMLCALL on_doctype(void *ctx, const XML_Char *name, const XML_Char *sysid,
                               const XML_Char *pubid, int internal)
{
    (void)name;
    (void)sysid;
    (void)pubid;
    (void)internal;
    stop(ctx, ERR_INVALID, "a document type is not taken");
}

int template_xml(struct str text, struct arena *a, struct xml_node **out, struct err *e)
{
    struct reading r = {.arena = a, .e = e};
    *out = NULL;
    r.last[0] = out;
    if (text.len > INT32_MAX || !(r.parser = XML_ParserCreate(NULL)))
        return err_memory(e);
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
    if (XML_Parse(r.parser, text.data ? text.data : "", (int)text.len, 1) != XML_STATUS_OK &&
        !r.stopped) {
        err_set(e, ERR_INVALID, "XML, line %lu: %s",
                (unsigned long)XML_GetCurrentLineNumber(r.parser),
                XML_ErrorString(XML_GetErrorCode(r.parser)));
        r.stopped = true;
    }
    XML_ParserFree(r.parser);
    for (size_t i = 0; i <= TEMPLATE_XML_DEPTH; i++)
        buf_free(&r.text[i]);
    return r.stopped ? -1 : 0;
}

struct str template_xml_find(const struct xml_node *root, const char *path)
{
    const struct xml_node *n = root;
    struct str rest = str_of(path);
    for (;;) {
        const char *slash = memchr(rest.data, '/', rest.len);
        struct str name = str_n(rest.data, slash ? (size_t)(slash - rest.data) : rest.len);
        bool attribute = name.len && name.data[0] == '@';
        if (attribute)
            name = str_n(name.data + 1, name.len - 1);
        while (n && (n->attribute != attribute || !str_eq(n->name, name)))
            n = n->next;
        if (!n || !slash)
            return n ? n->text : str_n(NULL, 0);
        rest = str_n(slash + 1, rest.len - (size_t)(slash + 1 - rest.data));
        n = n->children;
    }
}
