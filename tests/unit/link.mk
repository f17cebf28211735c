test_changelog_LDFLAGS := -Wl,--wrap=odbc_query,--wrap=odbc_exec,--wrap=odbc_dbms,--wrap=odbc_alive

# The stub driver is SQLite's, but for what it defines itself (tests/stub/hang.c).
SQLITE_ODBC := $(firstword $(wildcard /usr/lib/*/odbc/libsqlite3odbc.so /usr/lib/*/libsqlite3odbc.so))
stub_hang_FLAGS := -DSTUB_REAL_DRIVER='"$(SQLITE_ODBC)"' -Wl,--no-as-needed,-rpath,$(dir $(SQLITE_ODBC)) \
	$(SQLITE_ODBC)
test_alloc_LDFLAGS := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
test_alloc_dialects_LDFLAGS := $(test_alloc_LDFLAGS)
