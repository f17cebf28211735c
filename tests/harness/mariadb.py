# SPDX-License-Identifier: Apache-2.0
"""A private MariaDB server, set up as legacy CRMs find it: utf8mb4 and no strict mode."""
import pymysql

from .ports import free_port
from .process import run, tool
from .server import Server
from .wait import wait_for


class MariaDB(Server):
    """User `ficus` with password `ficus` and all rights, database `database`. A commit
    reaches the disk (rather than the operating system only) if `durable`."""

    user = password = "ficus"
    host = "127.0.0.1"

    def __init__(self, work, name="mariadb", database="crm", settings=None, durable=False):
        super().__init__(work, name)
        self.database, self.port = database, free_port()
        self.socket = self.dir + "/s"
        self.settings = {
            "datadir": self.dir + "/data", "socket": self.socket, "port": self.port,
            "bind-address": self.host, "pid-file": self.dir + "/pid", "tmpdir": self.dir,
            "skip-name-resolve": "ON", "character-set-server": "utf8mb4",
            "collation-server": "utf8mb4_general_ci", "sql-mode": "NO_ENGINE_SUBSTITUTION",
            "default-time-zone": "+00:00", "innodb-buffer-pool-size": "256M",
            "innodb-log-file-size": "64M", "max-connections": "200", "max-allowed-packet": "64M",
            "local-infile": "ON", "innodb-flush-log-at-trx-commit": "1" if durable else "2",
        }
        self.settings.update(settings or {})

    def prepare(self):
        run([tool("mariadb-install-db"), "--no-defaults", "--datadir=" + self.dir + "/data",
             "--tmpdir=" + self.dir, "--auth-root-authentication-method=normal", "--skip-test-db",
             "--skip-name-resolve"], drop=True, env=self.environment(), cwd=self.dir)

    def command(self):
        return [tool("mariadbd", "/usr/sbin"), "--no-defaults"] + [f"--{k}={v}" for k, v in self.settings.items()]

    def ready(self):
        def answers():
            return pymysql.connect(unix_socket=self.socket, user="root", autocommit=True, connect_timeout=5)
        db = wait_for(answers, "MariaDB to answer", 60, alive=self.process.must_live)
        try:
            with db.cursor() as cur:
                cur.execute(f"CREATE USER IF NOT EXISTS '{self.user}'@'%' IDENTIFIED BY '{self.password}'")
                cur.execute(f"GRANT ALL ON *.* TO '{self.user}'@'%' WITH GRANT OPTION")
                cur.execute(f"CREATE DATABASE IF NOT EXISTS `{self.database}`")
        finally:
            db.close()

    def create_database(self, name):
        self.execute(f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4")

    def odbc(self, database=None, port=None, **options):
        """OPTION=2 counts found rows rather than changed ones."""
        facts = {"SERVER": self.host, "PORT": port or self.port, "DATABASE": database or self.database,
                 "UID": self.user, "PWD": self.password, "OPTION": 2, "CHARSET": "utf8mb4", **options}
        return "DRIVER={MariaDB Unicode};" + ";".join(f"{k}={v}" for k, v in facts.items())

    def connect(self, database=None, autocommit=True):
        return pymysql.connect(host=self.host, port=self.port, user=self.user, password=self.password,
                               database=database or self.database, charset="utf8mb4", autocommit=autocommit,
                               connect_timeout=5, local_infile=True)

    def execute(self, sql, params=None, database=None):
        db = self.connect(database)
        try:
            with db.cursor() as cur:
                cur.execute(sql, params)
        finally:
            db.close()

    def query(self, sql, params=None, database=None):
        db = self.connect(database)
        try:
            with db.cursor() as cur:
                cur.execute(sql, params)
                return cur.fetchall()
        finally:
            db.close()

    def script(self, text, database=None):
        """Runs SQL text of several statements (DELIMITER works); raises at the first error."""
        return run([tool("mariadb"), "--no-defaults", "--protocol=tcp", "-h", self.host, "-P", str(self.port),
                    "-u", self.user, "-p" + self.password, "--default-character-set=utf8mb4",
                    "--local-infile=1", database or self.database], stdin=text.encode())
