# SPDX-License-Identifier: Apache-2.0
"""A private nginx as a streaming proxy: the peer that pass-through is compared with."""
import os

from .ports import free_port
from .process import tool
from .server import Server
from .wait import wait_for_port

CONFIG = """
daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log {log}; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  underscores_in_headers on; ignore_invalid_headers off; client_max_body_size 0; keepalive_requests 10000000;
  upstream app {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 10000000; }}
  server {{
    listen 127.0.0.1:{port};
    {more}
    location / {{
      proxy_pass http://app; proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off;
      proxy_set_header Connection ""; proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_pass_header Server; proxy_pass_header Date; proxy_pass_header X-Accel-Expires;
    }}
  }}
}}
"""


class Nginx(Server):
    def __init__(self, work, upstream, access_log=False, name="nginx", more=""):
        super().__init__(work, name)
        self.port, self.upstream, self.access_log, self.more = free_port(), upstream, access_log, more

    def prepare(self):
        log = os.path.join(self.dir, "access.log") if self.access_log else "off"
        self.config = os.path.join(self.dir, "nginx.conf")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(CONFIG.format(dir=self.dir, port=self.port, upstream=self.upstream, log=log, more=self.more))

    def command(self):
        return [tool("nginx"), "-p", self.dir, "-c", self.config, "-e", os.path.join(self.dir, "error.log")]

    def ready(self):
        wait_for_port(self.port, alive=self.process.must_live)
