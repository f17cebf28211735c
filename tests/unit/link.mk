test_changelog_LDFLAGS := -Wl,--wrap=odbc_query,--wrap=odbc_exec,--wrap=odbc_dbms,--wrap=odbc_alive
