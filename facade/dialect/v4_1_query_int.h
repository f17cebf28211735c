// SPDX-License-Identifier: Apache-2.0
// Shared by v4_1_token.c (tokens, columns and literals of a query) and v4_1_query.c (its
// grammar). Memory of the arena; pure; Thread: any.
#ifndef FICUS_FACADE_DIALECT_V4_1_QUERY_INT_H
#define FICUS_FACADE_DIALECT_V4_1_QUERY_INT_H

#include "facade/dialect/v4_1_int.h"

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_TEXT, TOKEN_NUMBER, TOKEN_SIGN, TOKEN_BAD };

struct token {
    enum token_kind kind;
    struct str text; // words and numbers as written, texts unescaped, signs
    bool quoted;     // a word in backticks: never a keyword
};

struct parser {
    const struct v4_1_module *module;
    struct str in;
    size_t at;
    struct token token; // the one that comes next
    struct arena *arena;
    unsigned depth, nodes;
    struct err *e;
};

struct literal {
    struct str text;
    bool number;
};

// Takes the next token into p->token; what cannot be read is TOKEN_BAD.
void v4_1_next(struct parser *p);
int v4_1_refuse(struct parser *p, const char *why); // always -1, ERR_INVALID
bool v4_1_is_keyword(const struct parser *p, const char *word);
bool v4_1_accept_keyword(struct parser *p, const char *word);
bool v4_1_accept_sign(struct parser *p, const char *sign);
bool v4_1_is_word(char c);           // part of a word
bool v4_1_is_reserved(struct str w); // never the name of a column
// [table.]column, upper(..), lower(..): a field of the module that is not secret.
int v4_1_take_column(struct parser *p, const struct field **out) FICUS_MUST_CHECK;
int v4_1_take_literal(struct parser *p, struct literal *out) FICUS_MUST_CHECK;
// The literal as a canonical value of the field.
int v4_1_to_value(struct parser *p, const struct field *f, struct literal l,
                  struct value *out) FICUS_MUST_CHECK;
int v4_1_take_value(struct parser *p, const struct field *f, struct value *out) FICUS_MUST_CHECK;
// A LIKE pattern whose escapes are complete.
int v4_1_to_pattern(struct parser *p, struct str s, struct value *out) FICUS_MUST_CHECK;

#endif
