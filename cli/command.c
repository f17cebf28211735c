// SPDX-License-Identifier: Apache-2.0
// Parses the command line by the command tables, prints help, usage errors and man pages.
// Knows no command. Single thread.
#include "cli/command.h"

#include "base/log.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct command_option common_options[] = {
    {"config", 'c', "FILE", "Configuration file (else $FICUS_CONFIG, else ./ficus.json)."},
    {"json", 0, NULL, "Print the result as JSON."},
    {"help", 'h', NULL, "Show this help."},
    {NULL, 0, NULL, NULL},
};

struct tables {
    const struct command *const *list;
    size_t n;
};

static unsigned words_count(const char *words)
{
    unsigned n = 1;
    for (const char *p = words; *p; p++)
        n += *p == ' ';
    return n;
}

// How many leading arguments are the words of `c`; 0 when they are not.
static unsigned words_match(const struct command *c, int argc, char **argv)
{
    const char *p = c->words;
    unsigned n = words_count(c->words);
    if ((unsigned)argc < n)
        return 0;
    for (unsigned i = 0; i < n; i++) {
        size_t len = strcspn(p, " ");
        if (!str_eq(str_n(p, len), str_of(argv[i])))
            return 0;
        p += len + (p[len] == ' ');
    }
    return n;
}

static const struct command *find(const struct tables *t, int argc, char **argv, unsigned *used)
{
    const struct command *best = NULL;
    *used = 0;
    for (size_t i = 0; i < t->n; i++) {
        for (const struct command *c = t->list[i]; c->words; c++) {
            unsigned n = words_match(c, argc, argv);
            if (n > *used) {
                *used = n;
                best = c;
            }
        }
    }
    return best;
}

static void help_all(const struct tables *t)
{
    puts("Ficus moves a company off its legacy CRM, a route at a time.\n"
         "\nUsage: ficus COMMAND [ARGUMENTS] [OPTIONS]\n\nCommands:");
    for (size_t i = 0; i < t->n; i++)
        for (const struct command *c = t->list[i]; c->words; c++)
            printf("  %-18s %s\n", c->words, c->summary);
    puts("\nCommon options: -c FILE (configuration), --json, --help.\n"
         "'ficus help COMMAND' tells more. Results go to stdout, messages to stderr.\n"
         "Exit status: 0 done, 1 a difference or a refusal, 2 usage, 3 configuration,\n"
         "4 a system cannot be reached, 5 internal.");
}

// Prints the commands that begin with `word`. False when there are none.
static bool list_family(const struct tables *t, const char *word, FILE *to)
{
    size_t len = strlen(word);
    bool any = false;
    for (size_t i = 0; i < t->n; i++)
        for (const struct command *c = t->list[i]; c->words; c++) {
            if (strncmp(c->words, word, len) != 0 || c->words[len] != ' ')
                continue;
            fprintf(to, "  %-18s %s\n", c->words, c->summary);
            any = true;
        }
    return any;
}

static int no_such_command(const struct tables *t, const char *who, int argc, char **argv)
{
    fprintf(stderr, "%s: no such command:", who);
    for (int i = 0; i < argc && i < 3 && argv[i][0] != '-'; i++)
        fprintf(stderr, " %s", argv[i]);
    fputs(". 'ficus help' lists them.\n", stderr);
    if (argc > 0)
        (void)list_family(t, argv[0], stderr);
    return EXIT_USAGE;
}

static void help_options(const struct command_option *o)
{
    for (; o && o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "%s%c%s--%s%s%s", o->letter ? "-" : "",
                 o->letter ? o->letter : ' ', o->letter ? ", " : "   ", o->name,
                 o->value ? " " : "", o->value ? o->value : "");
        printf("  %-26s %s\n", left, o->help);
    }
}

static void help_command(const struct command *c)
{
    printf("ficus %s - %s\n\nUsage: ficus %s%s%s [OPTIONS]\n\n%s\n\nOptions:\n", c->words,
           c->summary, c->words, c->usage[0] ? " " : "", c->usage, c->text);
    help_options(c->options);
    help_options(common_options);
}

static void man_escape(struct buf *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\\')
            buf_addz(out, "\\e");
        else if (*p == '-')
            buf_addz(out, "\\-");
        else if ((*p == '.' || *p == '\'') && (p == text || p[-1] == '\n'))
            buf_printf(out, "\\&%c", *p);
        else
            buf_addc(out, *p);
    }
}

static void man_options(struct buf *out, const struct command_option *o)
{
    for (; o && o->name; o++) {
        buf_addz(out, ".TP\n.B ");
        if (o->letter)
            buf_printf(out, "\\-%c, ", o->letter);
        buf_addz(out, "\\-\\-");
        man_escape(out, o->name);
        if (o->value)
            buf_printf(out, " \\fI%s\\fP", o->value);
        buf_addc(out, '\n');
        man_escape(out, o->help);
        buf_addc(out, '\n');
    }
}

void cli_write_man(struct buf *out, const struct command *c, const char *date)
{
    buf_addz(out, ".TH \"FICUS ");
    for (const char *p = c->words; *p; p++)
        buf_addc(out, *p == ' ' ? '-' : (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p));
    buf_printf(out, "\" 1 \"%s\" \"Ficus\"\n.SH NAME\nficus ", date);
    man_escape(out, c->words);
    buf_addz(out, " \\- ");
    man_escape(out, c->summary);
    buf_addz(out, "\n.SH SYNOPSIS\n.B ficus ");
    man_escape(out, c->words);
    buf_addz(out, "\n");
    man_escape(out, c->usage);
    buf_addz(out, " [OPTIONS]\n.SH DESCRIPTION\n");
    man_escape(out, c->text);
    buf_addz(out, "\n.SH OPTIONS\n");
    man_options(out, c->options);
    man_options(out, common_options);
    buf_addz(out, ".SH EXIT STATUS\n0 done; 1 a difference was found or a guard refused; "
                  "2 usage; 3 configuration; 4 a system cannot be reached; 5 internal.\n");
}

static int usage_error(const struct command *c, const char *what, const char *word)
{
    fprintf(stderr,
            "ficus %s: %s%s%s\nUsage: ficus %s%s%s [OPTIONS]; 'ficus help %s' tells more.\n",
            c->words, what, word ? ": " : "", word ? word : "", c->words, c->usage[0] ? " " : "",
            c->usage, c->words);
    return EXIT_USAGE;
}

static int help_run(const struct tables *t, int argc, char **argv)
{
    unsigned used;
    if (argc == 0) {
        help_all(t);
        return EXIT_OK;
    }
    bool man = strcmp(argv[0], "--man") == 0;
    argc -= man;
    argv += man;
    const struct command *c = find(t, argc, argv, &used);
    if (!c && argc == 1 && !man && list_family(t, argv[0], stdout)) {
        printf("'ficus help %s WORD' tells more.\n", argv[0]);
        return EXIT_OK;
    }
    if (!c || used != (unsigned)argc)
        return no_such_command(t, "ficus help", argc, argv);
    if (!man) {
        help_command(c);
        return EXIT_OK;
    }
    struct buf b = BUF_INIT;
    cli_write_man(&b, c, "2026");
    fwrite(b.data, 1, b.len, stdout);
    buf_free(&b);
    return EXIT_OK;
}

// One argument that starts with '-'. Returns how many arguments it took, 0 on a mistake.
static int take_option(struct cli *cli, const struct command_option *list, bool common, char **argv,
                       int left, bool *help)
{
    for (unsigned i = 0; list && list[i].name; i++) {
        const struct command_option *o = &list[i];
        char letter[3] = {'-', o->letter, 0};
        size_t len = strlen(o->name);
        const char *word = argv[0], *value = NULL;
        int took = 1;
        if (strncmp(word, "--", 2) == 0 && strncmp(word + 2, o->name, len) == 0 &&
            (word[2 + len] == 0 || (word[2 + len] == '=' && o->value)))
            value = word[2 + len] ? word + 3 + len : NULL;
        else if (!(o->letter && strcmp(word, letter) == 0))
            continue;
        if (o->value && !value) {
            if (left < 2)
                return 0;
            value = argv[1];
            took = 2;
        }
        if (!common)
            cli->options[i] = value ? value : "";
        else if (o->letter == 'c')
            cli->conf_file = value;
        else if (o->letter == 'h')
            *help = true;
        else
            cli->json = true;
        return took;
    }
    return 0;
}

static int parse(struct cli *cli, int argc, char **argv, bool *help)
{
    bool only_args = false;
    for (int i = 0; i < argc;) {
        if (!only_args && strcmp(argv[i], "--") == 0) {
            only_args = true;
            i++;
            continue;
        }
        if (!only_args && argv[i][0] == '-' && argv[i][1] != 0) {
            int took = take_option(cli, cli->command->options, false, argv + i, argc - i, help);
            if (!took)
                took = take_option(cli, common_options, true, argv + i, argc - i, help);
            if (!took)
                return usage_error(cli->command, "unknown option or missing value", argv[i]);
            i += took;
            continue;
        }
        if (cli->nargs == COMMAND_ARGS_MAX)
            return usage_error(cli->command, "too many arguments", NULL);
        cli->args[cli->nargs++] = argv[i++];
    }
    return EXIT_OK;
}

int cli_main(int argc, char **argv, const struct command *const *tables, size_t n)
{
    static char version[] = "version";
    struct tables t = {tables, n};
    unsigned used;
    argc--;
    argv++;
    if (argc == 0) {
        help_all(&t);
        return EXIT_USAGE;
    }
    if (strcmp(argv[0], "help") == 0 || strcmp(argv[0], "--help") == 0 ||
        strcmp(argv[0], "-h") == 0)
        return help_run(&t, argc - 1, argv + 1);
    if (strcmp(argv[0], "--version") == 0)
        argv[0] = version;
    struct cli cli = {.command = find(&t, argc, argv, &used)};
    if (!cli.command)
        return no_such_command(&t, "ficus", argc, argv);
    bool help = false;
    int status = parse(&cli, argc - (int)used, argv + used, &help);
    if (help) {
        help_command(cli.command);
        return EXIT_OK;
    }
    if (status != EXIT_OK)
        return status;
    if (cli.nargs < cli.command->args_min)
        return usage_error(cli.command, "an argument is missing", NULL);
    if (cli.nargs > cli.command->args_max)
        return usage_error(cli.command, "unexpected argument", cli.args[cli.command->args_max]);
    return cli.command->run(&cli);
}

const char *cli_option(const struct cli *c, const char *name)
{
    for (unsigned i = 0; c->command->options && c->command->options[i].name; i++)
        if (strcmp(c->command->options[i].name, name) == 0)
            return c->options[i];
    return NULL;
}

bool cli_flag(const struct cli *c, const char *name)
{
    return cli_option(c, name) != NULL;
}

int cli_option_int(const struct cli *c, const char *name, long long min, long long max,
                   long long fallback, long long *out)
{
    const char *text = cli_option(c, name);
    *out = fallback;
    if (!text || str_to_int(str_of(text), min, max, out))
        return 0;
    fprintf(stderr, "ficus %s: --%s takes a whole number from %lld to %lld, not '%s'\n",
            c->command->words, name, min, max, text);
    return -1;
}

int cli_fail(const struct err *e)
{
    fprintf(stderr, "ficus: %s\n", e->msg);
    return err_exit_status(e);
}

const char *cli_who(void)
{
    const char *name = getenv("FICUS_USER");
    if (name && *name)
        return name;
    const struct passwd *p = getpwuid(getuid());
    return p ? p->pw_name : "unknown";
}

bool cli_is_terminal(void)
{
    return isatty(STDERR_FILENO) == 1;
}
