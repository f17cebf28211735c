# SPDX-License-Identifier: Apache-2.0
"""An odbcinst.ini of our own: only the drivers we use, and Threading=0 for each.

With Threading=3, the default of old unixODBC, one lock serialises every connection.
"""
import configparser
import os

DRIVERS = ("SQLite3", "MariaDB Unicode", "PostgreSQL Unicode")


def _registered():
    ini = configparser.ConfigParser(interpolation=None, strict=False)
    ini.optionxform = str
    ini.read("/etc/odbcinst.ini")
    return ini


def write_odbcinst(folder, extra=None):
    """Writes FOLDER/odbcinst.ini; `extra` maps further driver names to libraries. Returns
    the environment variables that make unixODBC read it."""
    ini = _registered()
    lines = []
    for name in DRIVERS:
        if ini.has_section(name):
            lines += [f"[{name}]", f"Driver={ini[name]['Driver']}", "Threading=0", "FileUsage=1", ""]
    for name, library in (extra or {}).items():
        lines += [f"[{name}]", f"Driver={library}", "Threading=0", ""]
    with open(os.path.join(folder, "odbcinst.ini"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines))
    return {"ODBCSYSINI": folder, "ODBCINSTINI": "odbcinst.ini", "ODBCINI": os.path.join(folder, "odbc.ini")}
