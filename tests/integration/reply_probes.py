# SPDX-License-Identifier: Apache-2.0
"""Probes of the wire's other side: what an application behind a proxy answers, by name, and what the
proxy may make of it.

A probe is (name, what the application sends, outcomes). The client asks for /probe and then, on the same connection,
for /second, which the application answers well. Outcomes of the first answer: "passed" (200, 204 or 304, whole, and
with the application's body), "refused" (502), "cut" (it began and was not finished: the connection is closed before its
end), "closed" (the same, and nothing that a client could read came before). Whatever the outcome, what is answered to /second must be the second answer, and no field may reach the client
that was made of bytes which two parsers read in two ways.
"""
OK = b"HTTP/1.1 200 OK\r\n"
HELLO = b"Content-Length: 5\r\n\r\nhello"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Evil: 1\r\n\r\nevil!"


def fields(text, tail=HELLO):
    return OK + text + tail


def chunked(body, more=b""):
    return OK + b"Transfer-Encoding: chunked\r\n" + more + b"\r\n" + body


def line(text):
    return text + b"\r\n" + HELLO


PASSED, REFUSED = ("passed",), ("refused",)
EITHER, BROKEN = ("passed", "refused"), ("refused", "cut", "closed")
PROBES = [
    # ---- compliance
    ("baseline", OK + HELLO, PASSED),
    ("baseline-chunked", chunked(b"5\r\nhello\r\n0\r\n\r\n"), PASSED),
    ("no-reason", line(b"HTTP/1.1 200 "), PASSED),
    ("no-reason-no-blank", line(b"HTTP/1.1 200"), EITHER),
    ("reason-of-high-bytes", line(b"HTTP/1.1 200 \xc3\xa9"), PASSED),
    ("high-bytes-in-value", fields(b"X: \xc3\xa9\r\n"), PASSED),
    ("empty-value", fields(b"X:\r\n"), PASSED),
    ("100-then-200", b"HTTP/1.1 100 Continue\r\n\r\n" + OK + HELLO, PASSED),
    ("103-then-200", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + HELLO, PASSED),
    ("199-then-200", b"HTTP/1.1 199 Odd\r\n\r\n" + OK + HELLO, EITHER),
    ("100-with-a-length", b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n" + OK + HELLO, EITHER),
    ("http-1.0-until-close", b"HTTP/1.0 200 OK\r\n\r\nhello", PASSED),
    ("until-close", OK + b"\r\nhello", PASSED),
    ("chunk-extension", chunked(b"5;a=\"b;c\"\r\nhello\r\n0;x\r\n\r\n"), PASSED),
    ("chunk-trailer", chunked(b"5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"), PASSED),
    ("chunk-trailer-of-framing", chunked(b"5\r\nhello\r\n0\r\nContent-Length: 99\r\n\r\n"), EITHER + ("cut",)),
    ("204-with-a-length", b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello", EITHER),
    ("204-chunked", b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", EITHER),
    ("204-with-a-reply-behind", b"HTTP/1.1 204 No\r\n\r\n" + EVIL, EITHER),
    ("304-with-a-body", b"HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\nhello", EITHER),
    ("304-with-a-reply-behind", b"HTTP/1.1 304 Not\r\n\r\n" + EVIL, EITHER),
    ("connection-lists-a-field", fields(b"Connection: close, X-Evil\r\nX-Evil: 1\r\n"), PASSED),
    ("connection-twice", fields(b"Connection: X-Evil\r\nConnection: keep-alive\r\nX-Evil: 1\r\n"), PASSED),
    ("connection-lists-the-length", fields(b"Connection: content-length\r\n"), EITHER),
    ("connection-lists-the-coding", chunked(b"5\r\nhello\r\n0\r\n\r\n", b"Connection: transfer-encoding\r\n"), EITHER),
    # ---- more than one reply to one request
    ("a-reply-behind", OK + HELLO + EVIL, PASSED),
    ("a-reply-behind-chunks", chunked(b"5\r\nhello\r\n0\r\n\r\n") + EVIL, PASSED),
    ("garbage-behind", OK + HELLO + b"\0\r\nx", PASSED),
    ("an-empty-line-behind", OK + HELLO + b"\r\n", PASSED),
    ("a-body-beyond-length-0", OK + b"Content-Length: 0\r\n\r\n" + EVIL, EITHER),
    # ---- status line
    ("http-2.0", line(b"HTTP/2.0 200 OK"), REFUSED),
    ("http-1.2", line(b"HTTP/1.2 200 OK"), EITHER),
    ("http-0.9", b"hello", REFUSED),
    ("icy", line(b"ICY 200 OK"), REFUSED),
    ("http-lower-case", line(b"http/1.1 200 OK"), REFUSED),
    ("two-blanks", line(b"HTTP/1.1  200 OK"), REFUSED),
    ("tab-in-status-line", line(b"HTTP/1.1\t200\tOK"), REFUSED),
    ("status-two-digits", line(b"HTTP/1.1 20 OK"), REFUSED),
    ("status-four-digits", line(b"HTTP/1.1 2000 OK"), REFUSED),
    ("status-letters", line(b"HTTP/1.1 2OO OK"), REFUSED),
    ("status-099", line(b"HTTP/1.1 099 OK"), REFUSED),
    ("status-plus", line(b"HTTP/1.1 +20 OK"), REFUSED),
    ("nul-in-reason", line(b"HTTP/1.1 200 O\0K"), REFUSED),
    ("bare-cr-in-reason", line(b"HTTP/1.1 200 O\rK"), REFUSED),
    ("empty-line-first", b"\r\n" + OK + HELLO, EITHER),
    ("101-unasked", b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", REFUSED),
    ("1xx-endless", b"HTTP/1.1 102 Wait\r\n\r\n" * 5000 + OK + HELLO, EITHER),
    # ---- fields
    ("folded-field", fields(b"X: a\r\n X-Evil: 1\r\n"), EITHER),
    ("folded-first", b"HTTP/1.1 200 OK\r\n X: a\r\n" + HELLO, REFUSED),
    ("nul-in-value", fields(b"X: a\0b\r\n"), REFUSED),
    ("control-in-value", fields(b"X: a\x01b\r\n"), REFUSED),
    ("bare-cr-in-value", fields(b"X: a\rX-Evil: 1\r\n"), REFUSED),
    ("bare-lf-in-field", fields(b"X: a\nX-Evil: 1\r\n"), REFUSED),
    ("bare-lf-everywhere", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", REFUSED),
    ("no-colon", fields(b"frobnicate\r\n"), REFUSED),
    ("empty-name", fields(b": a\r\n"), REFUSED),
    ("blank-before-colon", fields(b"X : a\r\n"), EITHER),
    ("nul-in-name", fields(b"X\0: a\r\n"), REFUSED),
    ("high-byte-in-name", fields(b"X\xff: a\r\n"), REFUSED),
    ("blank-in-name", fields(b"X Y: a\r\n"), REFUSED),
    ("field-too-long", fields(b"X: " + b"x" * 300000 + b"\r\n"), REFUSED),
    ("too-many-fields", fields(b"".join(b"X%d: 1\r\n" % i for i in range(5000))), EITHER),
    ("head-endless", OK + b"X: 1\r\n" * 300000, REFUSED),
    # ---- Content-Length
    ("cl-twice-equal", fields(b"Content-Length: 5\r\n"), EITHER),
    ("cl-twice-different", fields(b"Content-Length: 50\r\n"), REFUSED),
    ("cl-list-equal", OK + b"Content-Length: 5, 5\r\n\r\nhello", EITHER),
    ("cl-list-different", OK + b"Content-Length: 5, 6\r\n\r\nhello", REFUSED),
    ("cl-plus", OK + b"Content-Length: +5\r\n\r\nhello", REFUSED),
    ("cl-minus", OK + b"Content-Length: -5\r\n\r\nhello", REFUSED),
    ("cl-hex", OK + b"Content-Length: 0x5\r\n\r\nhello", REFUSED),
    ("cl-inner-blank", OK + b"Content-Length: 5 0\r\n\r\nhello", REFUSED),
    ("cl-empty", OK + b"Content-Length:\r\n\r\nhello", REFUSED),
    ("cl-not-a-number", OK + b"Content-Length: x\r\n\r\nhello", REFUSED),
    ("cl-overflow-64", OK + b"Content-Length: 18446744073709551621\r\n\r\nhello", REFUSED),
    ("cl-blank-before-colon", OK + b"Content-Length : 5\r\n\r\nhello", EITHER),
    ("cl-folded", OK + b"Content-Length: 5\r\n 0\r\n\r\nhello", BROKEN),
    ("cl-too-long", OK + b"Content-Length: 9\r\n\r\nhello", BROKEN),
    # ---- Transfer-Encoding
    ("te-beside-cl", chunked(b"5\r\nhello\r\n0\r\n\r\n", b"Content-Length: 3\r\n"), EITHER),
    ("te-twice", chunked(b"5\r\nhello\r\n0\r\n\r\n", b"Transfer-Encoding: chunked\r\n"), EITHER),
    ("te-twice-in-list", OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", REFUSED),
    ("te-identity", OK + b"Transfer-Encoding: identity\r\n" + HELLO, REFUSED),
    ("te-gzip-chunked", OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", EITHER),
    ("te-chunked-gzip", OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n5\r\nhello\r\n0\r\n\r\n", REFUSED),
    ("te-xchunked", OK + b"Transfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", REFUSED),
    ("te-vertical-tab", OK + b"Transfer-Encoding: \x0bchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", REFUSED),
    ("te-empty", OK + b"Transfer-Encoding:\r\n" + HELLO, REFUSED),
    ("te-http-1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", REFUSED),
    ("te-blank-before-colon", OK + b"Transfer-Encoding : chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", EITHER),
    # ---- chunks
    ("chunk-size-not-hex", chunked(b"5x\r\nhello\r\n0\r\n\r\n"), BROKEN),
    ("chunk-size-empty", chunked(b"\r\nhello\r\n0\r\n\r\n"), BROKEN),
    ("chunk-size-plus", chunked(b"+5\r\nhello\r\n0\r\n\r\n"), BROKEN),
    ("chunk-size-minus", chunked(b"-5\r\nhello\r\n0\r\n\r\n"), BROKEN),
    ("chunk-size-0x", chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), BROKEN),
    ("chunk-size-blank-before", chunked(b" 5\r\nhello\r\n0\r\n\r\n"), BROKEN),
    ("chunk-size-overflow", chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n"), BROKEN),
    ("chunk-size-bare-lf", chunked(b"5\nhello\r\n0\r\n\r\n"), BROKEN),
    ("chunk-size-bare-cr", chunked(b"5\rhello\r\n0\r\n\r\n"), BROKEN),
    ("chunk-data-too-long", chunked(b"5\r\nhello!\r\n0\r\n\r\n"), BROKEN),
    ("chunk-data-no-crlf", chunked(b"5\r\nhello0\r\n\r\n"), BROKEN),
    ("chunk-data-bare-lf", chunked(b"5\r\nhello\n0\r\n\r\n"), BROKEN),
    ("chunk-last-bare-lf", chunked(b"5\r\nhello\r\n0\n\n"), BROKEN),
    ("chunk-extension-nul", chunked(b"5;\0\r\nhello\r\n0\r\n\r\n"), BROKEN),
    ("chunk-extension-bare-lf", chunked(b"5;a\nb\r\nhello\r\n0\r\n\r\n"), BROKEN),
    ("chunk-extension-endless", chunked(b"5;" + b"a" * 300000 + b"\r\nhello\r\n0\r\n\r\n"), BROKEN),
    ("chunk-trailer-no-colon", chunked(b"5\r\nhello\r\n0\r\nfrob\r\n\r\n"), BROKEN),
    ("chunk-trailer-bare-lf", chunked(b"5\r\nhello\r\n0\r\nX: a\nX-Evil: 1\r\n\r\n"), BROKEN),
    ("chunk-trailer-nul", chunked(b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n"), BROKEN),
    ("chunk-trailer-endless", chunked(b"5\r\nhello\r\n0\r\n" + b"X: 1\r\n" * 100000), BROKEN),
    ("chunk-cut", chunked(b"5\r\nhel"), BROKEN),
    ("chunk-last-missing", chunked(b"5\r\nhello\r\n"), BROKEN),
    ("chunk-trailers-cut", chunked(b"5\r\nhello\r\n0\r\n"), BROKEN),
]
CLOSES = {"http-1.0-until-close", "until-close", "http-0.9", "cl-too-long", "chunk-cut", "chunk-last-missing",
          "chunk-trailers-cut", "te-http-1.0", "101-unasked", "head-endless", "chunk-trailer-endless", "chunk-size-overflow",
          "chunk-data-no-crlf", "chunk-size-bare-cr", "cl-folded", "chunk-extension-bare-lf", "chunk-last-bare-lf"}
