/* What the files of the configuration reader share; room: core, nobody else
 * includes this.
 *
 *	bytes -> apw_conf_lex -> words -> apw_conf_parse -> statements
 *	      -> apw_conf_read -> values and their origins -> apw_conf_check
 *
 * All of it lives in the cycle's arena.  Complaints are collected and printed
 * sorted by place when everything was looked at. */
#ifndef APW_CONF_PRIV_H
#define APW_CONF_PRIV_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/apw_conf.h"
#include "core/apw_directive.h"
#include "core/apw_module.h"

/* Bounds: a configuration is small; whatever is not is not one. */
#define APW_CONF_FILE_MAX	(1024 * 1024)
#define APW_CONF_WORD_MAX	4096
#define APW_CONF_WORDS_MAX	1000	/* of one statement */
#define APW_CONF_STMTS_MAX	10000
#define APW_CONF_NEST_MAX	16
#define APW_CONF_TEXTS_MAX	128	/* files that are included */
#define APW_CONF_CHAIN_MAX	8	/* files that include each other */
#define APW_CONF_ERRORS_MAX	100	/* that are printed */
#define APW_CONF_NAMES_MAX	160	/* looked through for "did you mean" */
#define APW_CONF_SECRET_MAX	16384

enum apw_conf_from {
	APW_FROM_DEFAULT,
	APW_FROM_ENVIRONMENT,
	APW_FROM_FILE,
	APW_FROM_COMMAND_LINE,
};

/* Something that was read: a file, -g, the environment. */
struct apw_conf_text {
	const char			*name;	/* for complaints */
	const char			*dir;	/* its includes start here */
	const struct apw_conf_text	*parent; /* included us, or NULL */
	enum apw_conf_from		 from;
	unsigned			 rank;	/* order of reading */
	unsigned			 chain;	/* depth of inclusion */
	dev_t				 dev;
	ino_t				 ino;
};

struct apw_conf_place {
	const struct apw_conf_text	*text;	/* NULL: nowhere in particular */
	unsigned			 line, column;	/* 0: the whole text */
};

/* The lexer: one token after the other from a text in memory. */
enum apw_conf_token {
	APW_TOKEN_WORD,
	APW_TOKEN_SEMICOLON,
	APW_TOKEN_OPEN,
	APW_TOKEN_CLOSE,
	APW_TOKEN_END,
	APW_TOKEN_BAD,		/* err says why; going on is possible */
};

struct apw_conf_lex {
	struct apw_arena	*arena;		/* words go here */
	const char		*p, *end;
	unsigned		 line, column;	/* of p, from 1 */
	bool			 stuck;		/* after a quote */
	/* the token that was read last */
	unsigned		 at_line, at_column;
	char			*word;
	bool			 quoted;
	struct apw_err		 err;
};

void	apw_conf_lex_init(struct apw_conf_lex *, struct apw_arena *,
	    const char *p, size_t n);
enum apw_conf_token apw_conf_lex_next(struct apw_conf_lex *);
/* The word as the lexer would read it back: quoted when it has to be. */
void	apw_conf_put_word(FILE *, const char *);

/* Statements. */
struct apw_conf_word {
	char			*s;
	struct apw_conf_place	 place;
};

struct apw_conf_stmt {
	struct apw_conf_stmt	*next;
	struct apw_conf_word	*words;		/* [0] is the directive */
	size_t			 nwords;
	bool			 has_block;
	struct apw_conf_stmt	*block;
};

/* Both add complaints and return what could be read. */
struct apw_conf_stmt *apw_conf_parse_file(struct apw_conf *, const char *path);
struct apw_conf_stmt *apw_conf_parse_text(struct apw_conf *, const char *name,
	    const char *dir, const char *p, size_t n);

/* A context: main, a block, or a module's block, and the struct it fills.
 * They outlive the reader, in cycle->contexts. */
struct apw_conf_block;

struct apw_conf_context {
	const char			*label;	/* "main", "source app" */
	const struct apw_conf_block	*kind;	/* NULL: main */
	const struct apw_module		*module; /* NULL: none */
	const struct apw_directive	*directives;
	void				*conf;
	bool				 given;	/* somebody wrote the block */
	bool				 in_use; /* main, chosen modules, … */
	struct apw_conf_place		 place;	/* where */
	unsigned			 errors;
};

enum apw_conf_kind {
	APW_BLOCK_PLAIN,	/* engine { } */
	APW_BLOCK_HEAD,		/* network MODE { }: the word is a directive */
	APW_BLOCK_SOURCE,	/* source NAME { } */
	APW_BLOCK_SANDBOX,	/* sandbox MODE { } */
};

struct apw_conf_block {
	const char			*name;	/* NULL ends the table */
	enum apw_conf_kind		 kind;
	const struct apw_directive	*head;	/* of APW_BLOCK_HEAD */
	const struct apw_directive	*directives;
	size_t				 offset; /* of its struct in the cycle */
	const char			*arg_help;
	const char			*help;
};

extern const struct apw_directive apw_conf_main_directives[];
extern const struct apw_directive apw_conf_network_head[];
extern const struct apw_directive apw_conf_network_directives[];
extern const struct apw_conf_block apw_conf_blocks[];
extern const char *const apw_conf_include_help;

/* Setters of the core's own (apw_conf_main_set.c). */
apw_set_fn apw_conf_set_user;
apw_set_fn apw_conf_set_log;
apw_set_fn apw_conf_set_bytes_auto;
apw_set_fn apw_conf_set_listen;
apw_set_fn apw_conf_set_propagate;
extern const struct apw_enum apw_conf_log_levels[];
/* Do these n bytes spell an IPv4 or IPv6 address? */
bool	apw_conf_is_address(const char *, size_t n);

/* Where a value came from; one a value, several for lists. */
struct apw_conf_origin {
	struct apw_conf_origin		*next;
	const struct apw_conf_context	*context;
	const struct apw_directive	*directive;
	enum apw_conf_from		 from;
	struct apw_conf_place		 place;	/* of the directive's name */
	const char			*note;	/* variables of the environment */
	bool				 found;	/* on PATH */
	char				**args;	/* as -T shows them */
	size_t				 nargs;
};

/* The reader. */
struct apw_complaint;

struct apw_conf {
	struct apw_cycle		*cycle;
	struct apw_arena		*arena;		/* the cycle's */
	const struct apw_conf_options	*options;
	const char			*prefix;	/* absolute */
	struct apw_conf_text		 command_line;
	struct apw_conf_text		 environment;
	struct apw_complaint		*complaints, **complaints_tail;
	unsigned			 errors, warnings;
	unsigned			 texts, stmts;
	bool				 broken;	/* syntax: parts are missing */
	bool				 no_memory;
	struct apw_conf_origin		**origins_tail;
	struct apw_conf_origin		*current;	/* being set */
	struct apw_conf_context		*checking;
	struct apw_conf_context		*source, *sandbox; /* chosen */
	bool				 source_seen;	/* right or wrong */
	bool				 source_by_command_line;
	bool				 sandbox_auto;
	bool				 sandbox_by_command_line;
	struct apw_conf_place		 sandbox_place;
};

/* Complaints (apw_conf_complaint.c). */
void	apw_conf_error(struct apw_conf *, struct apw_conf_place,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void	apw_conf_warning(struct apw_conf *, struct apw_conf_place,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void	apw_conf_verror(struct apw_conf *, struct apw_conf_place, bool warning,
	    const char *fmt, va_list) __attribute__((format(printf, 4, 0)));
void	apw_conf_print_complaints(struct apw_conf *, FILE *);
/* The text fit for a complaint: no control bytes, not endless.  In the
 * arena, or a constant. */
const char *apw_conf_quote(struct apw_conf *, const char *);
/* "FILE:LINE" of a place, in the arena. */
const char *apw_conf_place_text(struct apw_conf *, struct apw_conf_place);

/* Values (apw_conf_value.c): run a directive's setter and note the origin. */
int	apw_conf_set(struct apw_conf *, struct apw_conf_context *,
	    const struct apw_directive *, enum apw_conf_from,
	    const struct apw_conf_word *words, size_t nwords,
	    const char *note);
struct apw_conf_origin *apw_conf_find_origin(const struct apw_cycle *,
	    const struct apw_conf_context *, const struct apw_directive *);
struct apw_conf_context *apw_conf_context_of(const struct apw_cycle *,
	    const char *label);
const struct apw_directive *apw_conf_find_directive(
	    const struct apw_directive *, const char *name);
/* What has no value yet gets the environment's, then the table's. */
void	apw_conf_fill(struct apw_conf *);

/* Environment (apw_conf_env.c).  1: the variable gives args (and note says
 * which variables were looked at), 0: it gives nothing, -1: complained. */
int	apw_conf_env(struct apw_conf *, const char *name, char ***args,
	    size_t *nargs, const char **note);
/* The source that the environment alone means ("app"), or NULL. */
const char *apw_conf_env_source(struct apw_conf *);
/* A worker token made from AP_JWT_SECRET (apw_conf_token.c): from then on it
 * is AP_WORKER_TOKEN.  NULL: there is no such secret. */
const char *apw_conf_env_token(void);
/* Warnings about variables that would do something in the Node worker and
 * have no directive (apw_conf_env_note.c). */
void	apw_conf_env_notes(struct apw_conf *);

/* Secrets (apw_conf_secret.c): copies into memory of its own, wipes from. */
int	apw_conf_keep_secret(struct apw_conf *, struct apw_secret *,
	    char *from, size_t n, struct apw_err *);
/* The value of an environment variable that is a secret: moved to memory of
 * its own and starred out in the environment.  NULL: not set. */
const char *apw_conf_env_secret(const char *name);
/* Those that were moved so: name and value. */
void	apw_conf_env_secrets_each(void (*)(void *, const char *, const char *),
	    void *arg);
/* The same secrets, byte by byte? */
bool	apw_conf_same_secrets(const struct apw_cycle *,
	    const struct apw_cycle *);
/* Those of the cycle; apw_secrets_wipe() wipes the environment's, too. */
void	apw_conf_secrets_free(struct apw_cycle *);

/* Statements of a context (apw_conf_read.c), blocks and what they choose
 * (apw_conf_block.c). */
void	apw_conf_read_list(struct apw_conf *, struct apw_conf_context *,
	    const struct apw_conf_stmt *);
void	apw_conf_read_block(struct apw_conf *, const struct apw_conf_block *,
	    const struct apw_conf_stmt *);
const struct apw_conf_block *apw_conf_find_block(const char *name);
void	apw_conf_settle(struct apw_conf *);
/* "...; did you mean ...?" when one of names is near. */
void	apw_conf_complain_nearest(struct apw_conf *, struct apw_conf_place,
	    const char *word, const char *const *names, const char *fmt, ...)
	    __attribute__((format(printf, 5, 6)));

/* Cross checks (apw_conf_check.c, apw_conf_program.c). */
void	apw_conf_check(struct apw_conf *);
void	apw_conf_check_programs(struct apw_conf *);
/* Where a value was given; for a default, its block, or nowhere. */
struct apw_conf_place apw_conf_place_of(const struct apw_cycle *,
	    const struct apw_conf_context *, const char *directive);
bool	apw_conf_is_default(const struct apw_cycle *,
	    const struct apw_conf_context *, const char *directive);

#endif
