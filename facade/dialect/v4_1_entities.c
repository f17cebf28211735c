// SPDX-License-Identifier: Apache-2.0
// The character entities of HTML 4.01 (section 24 of the recommendation): a table by code
// point and an index by name. Pure, any thread. Longer than other files because it is a table.
#include "facade/dialect/v4_1_int.h"

static const struct entity_row {
    uint16_t code;
    const char *name;
} rows[] = {
    {34, "quot"},     {38, "amp"},       {60, "lt"},        {62, "gt"},       {160, "nbsp"},
    {161, "iexcl"},   {162, "cent"},     {163, "pound"},    {164, "curren"},  {165, "yen"},
    {166, "brvbar"},  {167, "sect"},     {168, "uml"},      {169, "copy"},    {170, "ordf"},
    {171, "laquo"},   {172, "not"},      {173, "shy"},      {174, "reg"},     {175, "macr"},
    {176, "deg"},     {177, "plusmn"},   {178, "sup2"},     {179, "sup3"},    {180, "acute"},
    {181, "micro"},   {182, "para"},     {183, "middot"},   {184, "cedil"},   {185, "sup1"},
    {186, "ordm"},    {187, "raquo"},    {188, "frac14"},   {189, "frac12"},  {190, "frac34"},
    {191, "iquest"},  {192, "Agrave"},   {193, "Aacute"},   {194, "Acirc"},   {195, "Atilde"},
    {196, "Auml"},    {197, "Aring"},    {198, "AElig"},    {199, "Ccedil"},  {200, "Egrave"},
    {201, "Eacute"},  {202, "Ecirc"},    {203, "Euml"},     {204, "Igrave"},  {205, "Iacute"},
    {206, "Icirc"},   {207, "Iuml"},     {208, "ETH"},      {209, "Ntilde"},  {210, "Ograve"},
    {211, "Oacute"},  {212, "Ocirc"},    {213, "Otilde"},   {214, "Ouml"},    {215, "times"},
    {216, "Oslash"},  {217, "Ugrave"},   {218, "Uacute"},   {219, "Ucirc"},   {220, "Uuml"},
    {221, "Yacute"},  {222, "THORN"},    {223, "szlig"},    {224, "agrave"},  {225, "aacute"},
    {226, "acirc"},   {227, "atilde"},   {228, "auml"},     {229, "aring"},   {230, "aelig"},
    {231, "ccedil"},  {232, "egrave"},   {233, "eacute"},   {234, "ecirc"},   {235, "euml"},
    {236, "igrave"},  {237, "iacute"},   {238, "icirc"},    {239, "iuml"},    {240, "eth"},
    {241, "ntilde"},  {242, "ograve"},   {243, "oacute"},   {244, "ocirc"},   {245, "otilde"},
    {246, "ouml"},    {247, "divide"},   {248, "oslash"},   {249, "ugrave"},  {250, "uacute"},
    {251, "ucirc"},   {252, "uuml"},     {253, "yacute"},   {254, "thorn"},   {255, "yuml"},
    {338, "OElig"},   {339, "oelig"},    {352, "Scaron"},   {353, "scaron"},  {376, "Yuml"},
    {402, "fnof"},    {710, "circ"},     {732, "tilde"},    {913, "Alpha"},   {914, "Beta"},
    {915, "Gamma"},   {916, "Delta"},    {917, "Epsilon"},  {918, "Zeta"},    {919, "Eta"},
    {920, "Theta"},   {921, "Iota"},     {922, "Kappa"},    {923, "Lambda"},  {924, "Mu"},
    {925, "Nu"},      {926, "Xi"},       {927, "Omicron"},  {928, "Pi"},      {929, "Rho"},
    {931, "Sigma"},   {932, "Tau"},      {933, "Upsilon"},  {934, "Phi"},     {935, "Chi"},
    {936, "Psi"},     {937, "Omega"},    {945, "alpha"},    {946, "beta"},    {947, "gamma"},
    {948, "delta"},   {949, "epsilon"},  {950, "zeta"},     {951, "eta"},     {952, "theta"},
    {953, "iota"},    {954, "kappa"},    {955, "lambda"},   {956, "mu"},      {957, "nu"},
    {958, "xi"},      {959, "omicron"},  {960, "pi"},       {961, "rho"},     {962, "sigmaf"},
    {963, "sigma"},   {964, "tau"},      {965, "upsilon"},  {966, "phi"},     {967, "chi"},
    {968, "psi"},     {969, "omega"},    {977, "thetasym"}, {978, "upsih"},   {982, "piv"},
    {8194, "ensp"},   {8195, "emsp"},    {8201, "thinsp"},  {8204, "zwnj"},   {8205, "zwj"},
    {8206, "lrm"},    {8207, "rlm"},     {8211, "ndash"},   {8212, "mdash"},  {8216, "lsquo"},
    {8217, "rsquo"},  {8218, "sbquo"},   {8220, "ldquo"},   {8221, "rdquo"},  {8222, "bdquo"},
    {8224, "dagger"}, {8225, "Dagger"},  {8226, "bull"},    {8230, "hellip"}, {8240, "permil"},
    {8242, "prime"},  {8243, "Prime"},   {8249, "lsaquo"},  {8250, "rsaquo"}, {8254, "oline"},
    {8260, "frasl"},  {8364, "euro"},    {8465, "image"},   {8472, "weierp"}, {8476, "real"},
    {8482, "trade"},  {8501, "alefsym"}, {8592, "larr"},    {8593, "uarr"},   {8594, "rarr"},
    {8595, "darr"},   {8596, "harr"},    {8629, "crarr"},   {8656, "lArr"},   {8657, "uArr"},
    {8658, "rArr"},   {8659, "dArr"},    {8660, "hArr"},    {8704, "forall"}, {8706, "part"},
    {8707, "exist"},  {8709, "empty"},   {8711, "nabla"},   {8712, "isin"},   {8713, "notin"},
    {8715, "ni"},     {8719, "prod"},    {8721, "sum"},     {8722, "minus"},  {8727, "lowast"},
    {8730, "radic"},  {8733, "prop"},    {8734, "infin"},   {8736, "ang"},    {8743, "and"},
    {8744, "or"},     {8745, "cap"},     {8746, "cup"},     {8747, "int"},    {8756, "there4"},
    {8764, "sim"},    {8773, "cong"},    {8776, "asymp"},   {8800, "ne"},     {8801, "equiv"},
    {8804, "le"},     {8805, "ge"},      {8834, "sub"},     {8835, "sup"},    {8836, "nsub"},
    {8838, "sube"},   {8839, "supe"},    {8853, "oplus"},   {8855, "otimes"}, {8869, "perp"},
    {8901, "sdot"},   {8968, "lceil"},   {8969, "rceil"},   {8970, "lfloor"}, {8971, "rfloor"},
    {9001, "lang"},   {9002, "rang"},    {9674, "loz"},     {9824, "spades"}, {9827, "clubs"},
    {9829, "hearts"}, {9830, "diams"},
};

// Rows in the order of their names.
static const uint8_t by_name[] = {
    42,  37,  38,  36,  108, 41,  39,  40,  109, 43,  129, 176, 111, 52,  45,  46,  44,  112,
    114, 47,  110, 49,  50,  48,  116, 51,  117, 118, 119, 53,  120, 100, 55,  56,  54,  131,
    122, 60,  57,  58,  128, 123, 181, 130, 124, 102, 125, 66,  126, 115, 62,  63,  61,  127,
    64,  121, 65,  104, 113, 69,  70,  24,  74,  68,  191, 132, 1,   219, 218, 73,  227, 71,
    72,  174, 133, 10,  177, 221, 75,  28,  6,   154, 106, 249, 226, 13,  197, 222, 8,   201,
    175, 195, 20,  135, 251, 91,  77,  78,  76,  206, 161, 160, 136, 229, 138, 84,  79,  186,
    205, 105, 203, 33,  32,  34,  185, 134, 231, 3,   202, 196, 250, 178, 81,  82,  5,   80,
    187, 217, 223, 140, 35,  208, 83,  141, 198, 142, 245, 15,  192, 241, 172, 230, 243, 214,
    247, 165, 182, 169, 2,   19,  168, 25,  27,  213, 143, 207, 4,   167, 228, 210, 16,  209,
    234, 85,  144, 87,  88,  101, 86,  184, 156, 146, 237, 220, 14,  30,  92,  89,  238, 90,
    26,  204, 179, 239, 153, 147, 159, 21,  7,   180, 211, 216, 155, 0,   200, 215, 246, 31,
    194, 242, 173, 189, 18,  244, 148, 166, 183, 170, 171, 103, 240, 11,  17,  150, 149, 225,
    248, 232, 235, 212, 233, 29,  22,  23,  236, 67,  151, 224, 139, 157, 162, 98,  107, 59,
    190, 199, 94,  193, 95,  93,  12,  158, 152, 96,  188, 145, 97,  9,   99,  137, 164, 163,
};

#define NROWS (sizeof(rows) / sizeof(rows[0]))

static int compare(struct str name, const char *row)
{
    size_t n = strlen(row), least = name.len < n ? name.len : n;
    int d = memcmp(name.data, row, least);

    if (d != 0)
        return d;
    return name.len < n ? -1 : name.len > n;
}

uint32_t v4_1_entity_code(struct str name)
{
    size_t low = 0, high = NROWS;

    if (name.len == 0)
        return 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct entity_row *row = &rows[by_name[middle]];
        int d = compare(name, row->name);
        if (d == 0)
            return row->code;
        if (d < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return 0;
}

const char *v4_1_entity_name(uint32_t code)
{
    size_t low = 0, high = NROWS;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (rows[middle].code == code)
            return rows[middle].name;
        if (rows[middle].code > code)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
