# SPDX-License-Identifier: Apache-2.0
"""The quirks of the v4_1 dialect, one function each, by method and name.

test_v4_1_quirks.py runs every one of them on both sides of the fence; scripts/compat.py makes
docs/compatibility-v4_1.md of the same list. A quirk with `instead` differs from the legacy on purpose: `instead` is
what the legacy does.
"""
import collections
import hashlib
import json
import re
import urllib.parse

Quirk = collections.namedtuple("Quirk", "method text instead run")
QUIRKS = []
FAULTS = {
    10: ("Invalid Login", "Login attempt failed please check the username and password"),
    11: ("Invalid Session ID", "The session ID is invalid"),
    20: ("Module Does Not Exist", "This module is not available on this server"),
    30: ("Module Not Supported", "This module does not support this feature"),
    40: ("Access Denied", "You do not have access"),
    1001: ("Invalid data sent", "The data sent for this function is invalid. Please look at WSDL file for details"),
}
GONE = [{"name": "warning", "value": "Access to this object is denied since it has been deleted or does not exist"},
        {"name": "deleted", "value": "1"}]


def quirk(method, text, instead=None):
    def add(run):
        QUIRKS.append(Quirk(method, text, instead, run))
        return run
    return add


def fault(number):
    name, description = FAULTS[number]
    return {"name": name, "number": number, "description": description}


def pair(name, value):
    return {name: {"name": name, "value": value}}


def pairs(**values):
    return {k: {"name": k, "value": v} for k, v in values.items()}


# ---- transport

PLAIN = {"user_name": "jim", "password": "secret", "encryption": "PLAIN"}


@quirk("every method", "a form, a multipart form and a query string carry the same call")
def _(c):
    want = b'"1"'
    fields = c.form("get_user_id", [c.session])
    assert c.post(urllib.parse.urlencode(fields).encode()).body == want
    assert c.http("GET", "?" + urllib.parse.urlencode(fields)).body == want
    parts = "".join(f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items())
    assert c.post((parts + "--b--\r\n").encode(), type="multipart/form-data; boundary=b").body == want


@quirk("every method", "a POST's query string is ignored")
def _(c):
    body = urllib.parse.urlencode(c.form("get_user_id", [c.session])).encode()
    assert c.post(body, "?login&method=logout").body == b'"1"'


@quirk("every method", "HTTP/1.0 and absolute-form targets are answered")
def _(c):
    fields = urllib.parse.urlencode(c.form("get_user_id", [c.session]))
    assert c.wire(f"GET {c.path}?{fields} HTTP/1.0\r\n\r\n").endswith(b'\r\n\r\n"1"')
    head = (f"POST http://crm.example{c.path} HTTP/1.1\r\nHost: crm.example\r\nConnection: close\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(fields)}\r\n\r\n")
    assert c.wire(head + fields).endswith(b'\r\n\r\n"1"')


@quirk("every method", "the reply is 200 and application/json, errors too")
def _(c):
    for reply in (c.raw("get_user_id", [c.session]), c.raw("get_user_id", ["nosuch"]), c.raw("nosuch", [])):
        assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json; charset=UTF-8")


@quirk("every method", "JSON escapes: \\uXXXX beyond ASCII, \\/ for a slash")
def _(c):
    key = c.create("Accounts", name="Zoë/日本")
    assert b'"value":"Zo\\u00eb\\/\\u65e5\\u672c"' in c.raw("get_entry", [c.session, "Accounts", key, ["name"]]).body


@quirk("every method", "jsoncallback in the query string wraps the reply, errors too; in a form it does not")
def _(c):
    body = urllib.parse.urlencode(c.form("get_user_id", [c.session])).encode()
    assert c.post(body, "?jsoncallback=f").body == b'f("1")'
    assert c.post(body + b"&jsoncallback=f").body == b'"1"'
    bad = urllib.parse.urlencode(c.form("get_user_id", ["nosuch"])).encode()
    assert json.loads(c.post(bad, "?jsoncallback=f").body[2:-1]) == fault(11)


@quirk("every method", "jsoncallback is taken only where it can name a function", "any text goes in front of the reply")
def _(c):
    body = urllib.parse.urlencode(c.form("get_user_id", [c.session])).encode()
    assert c.post(body, "?jsoncallback=" + urllib.parse.quote("alert(1)//")).body == b'"1"'


@quirk("every method",
       "input_type and response_type in any case; parameters in the query string or the body, which wins")
def _(c):
    fields = {**c.form("get_user_id", [c.session]), "input_type": "json", "response_type": "Json"}
    assert c.post(urllib.parse.urlencode(fields).encode()).body == b'"1"'
    data = urllib.parse.urlencode({"rest_data": fields.pop("rest_data")}).encode()
    assert c.post(data, "?rest_data=x&" + urllib.parse.urlencode(fields)).body == b'"1"'


@quirk("every method", "without input_type=JSON: 500, text/html, no body")
def _(c):
    for fields in ({"input_type": ""}, {"input_type": "Serialize"}):
        reply = c.post(urllib.parse.urlencode({**c.form("get_user_id", [c.session]), **fields}).encode())
        assert (reply.status, reply.headers["Content-Type"], reply.body) == (500, "text/html; charset=UTF-8", b"")


@quirk("every method", "without response_type=JSON: 500, text/html, no body", "a dump for debugging, 200 and text/html")
def _(c):
    reply = c.post(urllib.parse.urlencode({**c.form("get_user_id", [c.session]), "response_type": ""}).encode())
    assert (reply.status, reply.headers["Content-Type"], reply.body) == (500, "text/html; charset=UTF-8", b"")


@quirk("every method", "names of methods in any case, names of modules as they are")
def _(c):
    assert c("GET_USER_ID") == "1"
    assert c("get_entries_count", "accounts", "", 0) == fault(20)


@quirk("every method", "an unknown method answers the string \"-1\"")
def _(c):
    want = (b'{"name":"An Undefined Error - invalid_call occurred","number":"-1",'
            b'"description":"There is no error definition for invalid_call"}')
    assert c.raw("nosuch", [c.session]).body == want
    assert c.raw("get_user_team_id", [c.session]).body == want
    assert c.raw("get_session_id", [c.session]).body == want


@quirk("every method", "a live session sets its cookie and no-store headers, an error none")
def _(c):
    good, bad = c.raw("get_user_id", [c.session]), c.raw("get_user_id", ["nosuch"])
    assert good.headers["Set-Cookie"].startswith("PHPSESSID=" + c.session)
    assert "no-store" in good.headers["Cache-Control"] and good.headers["Pragma"] == "no-cache"
    assert not bad.headers["Set-Cookie"] and not bad.headers["Cache-Control"]


@quirk("every method", "a failure of the database is 500, text/html, in the legacy's words")
def _(c):
    with c.without_table("leads"):
        reply = c.raw("get_entry_list", [c.session, "Leads"])
    assert (reply.status, reply.headers["Content-Type"], reply.body) == (
        500, "text/html; charset=UTF-8", b"Database failure. Please refer to suitecrm.log for details.")


# ---- arguments

@quirk("every method", "an array is arguments by position, those too many ignored")
def _(c):
    assert c.data("get_user_id", [c.session, "x", {"y": 1}, 4, 5]) == "1"


@quirk("every method", "an object with the server's names only is by name: reordered, or with gaps")
def _(c):
    key = c.create("Accounts", name="byname")
    reply = c.data("get_entry", {"select_fields": ["name"], "id": key, "module_name": "Accounts",
                                 "session": c.session})
    assert reply["entry_list"][0]["name_value_list"] == pair("name", "byname")
    gaps = c.data("get_entry_list", {"session": c.session, "module_name": "Accounts", "max_results": 1,
                                     "select_fields": ["id"], "query": "accounts.name = 'byname'"})
    assert gaps["result_count"] == 1


@quirk("every method", "an object with any other name is by the order of its keys")
def _(c):
    key = c.create("Accounts", name="byorder")
    reply = c.data("get_entry", {"session": c.session, "module": "Accounts", "x": key, "module_name": ["name"]})
    assert reply["entry_list"][0]["name_value_list"] == pair("name", "byorder")
    assert c.data("login", {"user_auth": PLAIN, "application": "x"})["module_name"] == "Users"
    assert c.data("login", {"user_auth": PLAIN, "application_name": "x", "name_value_list": []})["id"]


@quirk("every method", "an object with numbers for names is a list, at any depth, as PHP clients send one with gaps")
def _(c):
    key = c.create("Accounts", name="gaps")
    assert c.data("get_user_id", {"0": c.session}) == "1"
    assert list(c.entry("Accounts", key, {"0": "name", "3": "id"})) == ["id", "name"]
    link = {"2": {"name": "contacts", "value": {"1": "id"}}}
    reply = c("get_entries", "Accounts", {"5": key}, {"1": "id"}, link)
    assert [e["id"] for e in reply["entry_list"]] == [key]
    assert reply["relationship_list"] == [{"link_list": [{"name": "contacts", "records": []}]}]
    key = c("set_entry", "Accounts", {"1": {"name": "name", "value": "numbered"}})["id"]
    assert c.entry("Accounts", key, ["name"]) == pair("name", "numbered")


@quirk("every method", "an object in the place of a list is the list of its values, whatever their names")
def _(c):
    account, contact = c.create("Accounts", name="values"), c.create("Contacts", last_name="V")
    c("set_relationship", "Accounts", account, "contacts", [contact])
    reply = c("get_entry", "Accounts", account, {"a": "name", "b": "nosuch"},
              {"x": {"name": "contacts", "value": {"y": "last_name"}}})
    assert reply["entry_list"][0]["name_value_list"] == pair("name", "values")
    assert reply["relationship_list"] == [[{"name": "contacts", "records": [pair("last_name", "V")]}]]
    entries = c("get_entries", "Accounts", {"first": account}, {"a": "id"})["entry_list"]
    assert [e["name_value_list"] for e in entries] == [pair("id", account)]


@quirk("every method", "a missing argument is error 1001", "500 with an empty body")
def _(c):
    for method, data in (("get_entry", [c.session, "Accounts"]), ("get_entry", []), ("set_entry", [c.session]),
                         ("get_user_id", []), ("login", [])):
        assert c.data(method, data) == fault(1001), method


@quirk("every method", "a session that is \"\", null, [] or {} answers null")
def _(c):
    for blank in ("", None, [], {}):
        for method, more in (("get_user_id", []), ("get_entry", ["Accounts", "1"]), ("get_available_modules", [])):
            assert c.raw(method, [blank, *more]).body == b"null"


@quirk("every method", "an unknown session answers 11")
def _(c):
    for method, more in (("get_user_id", []), ("logout", []), ("get_entry", ["Accounts", "1"]),
                         ("get_entry_list", ["Accounts"]), ("get_entries_count", ["Accounts", "", 0]),
                         ("set_entry", ["Accounts", []]), ("get_module_fields", ["Accounts"]),
                         ("get_relationships", ["Accounts", "1", "contacts"])):
        assert c.data(method, ["0" * 32, *more]) == fault(11), method


@quirk("every method with a module", "an unknown module answers 20")
def _(c):
    for name in ("accounts", "Home", "Nosuch"):
        for method, more in (("get_entry", ["1"]), ("get_entries", [["1"]]), ("get_entry_list", []),
                             ("get_entries_count", ["", 0]), ("set_entry", [[]]), ("set_entries", [[]]),
                             ("get_relationships", ["1", "contacts"]), ("get_module_fields", [])):
            assert c(method, name, *more) == fault(20), (method, name)


@quirk("every method with a module", "a module that is \"\" or null answers 1001", "500 with an empty body")
def _(c):
    for name in ("", None):
        assert c("get_entry", name, "1") == fault(1001)
        assert c("get_entry_list", name) == fault(1001)


@quirk("every method", "rest_data malformed or absent: login 10, get_entry_list and get_user_id null")
def _(c):
    for text in ("{", "", None, "nonsense"):
        assert json.loads(c.text("login", text).body) == fault(10)
        for method in ("get_entry_list", "get_user_id"):
            assert c.text(method, text).body == b"null"
    assert c.text("get_entry_list", "[]").body == b"null"


@quirk("every method", "rest_data malformed: get_entry and set_entry answer 1001", "500 with an empty body")
def _(c):
    for text in ("{", "", None):
        for method in ("get_entry", "set_entry"):
            assert json.loads(c.text(method, text).body) == fault(1001)


# ---- login and sessions

@quirk("login", "reply: id, module_name, name_value_list with 13 values in the legacy's order")
def _(c):
    reply = c.data("login", [PLAIN, "x"])
    assert list(reply) == ["id", "module_name", "name_value_list"] and reply["module_name"] == "Users"
    assert re.fullmatch("[0-9a-f]{32}", reply["id"])
    want = pairs(user_id="1", user_name="jim", user_language="en_us", user_currency_id=None, user_is_admin=True,
                 user_default_team_id=None, user_default_dateformat="m/d/Y", user_default_timeformat="H:i",
                 user_number_separator=",", user_decimal_separator=".", mobile_max_list_entries=None,
                 mobile_max_subpanel_entries=None, user_currency_name="US Dollar")
    assert list(reply["name_value_list"].items()) == list(want.items())
    assert c.data("login", [{**PLAIN, "user_name": "sally"}])["name_value_list"]["user_is_admin"]["value"] is False


@quirk("login", "md5 of the password in hex of any case, or plain text with encryption PLAIN")
def _(c):
    md5 = hashlib.md5(b"secret").hexdigest()
    for password in (md5, md5.upper()):
        assert "id" in c.data("login", [{"user_name": "jim", "password": password}, "x", []])
        assert "id" in c.data("login", {"user_auth": {"user_name": "jim", "password": password, "version": "1"}})
    assert c.data("login", [{"user_name": "jim", "password": "secret"}]) == fault(10)
    assert c.data("login", [{**PLAIN, "password": md5}]) == fault(10)


@quirk("login", "bcrypt over the md5, or the bare md5, as the stored hash")
def _(c):
    assert "id" in c.data("login", [{**PLAIN, "user_name": "crypt"}])
    assert c.data("login", [{**PLAIN, "user_name": "crypt", "password": "x"}]) == fault(10)


@quirk("login", "the user's name matches without case, accents and trailing blanks")
def _(c):
    for name in ("JIM", "jim ", "Jim  ", "j\u00edm", "J\u00cdM "):
        assert c.data("login", [{**PLAIN, "user_name": name}])["name_value_list"]["user_name"]["value"] == "jim"
    for name in ("\u00c9mile", "emile", "EMIL\u00c8"):
        reply = c.data("login", [{**PLAIN, "user_name": name}])["name_value_list"]
        assert reply["user_name"]["value"] == "\u00e9mile"
    for name in ("emil", "emile2", "_____", "%", "e%", "emile%"):
        assert c.data("login", [{**PLAIN, "user_name": name}]) == fault(10), name


@quirk("login", "inactive, deleted, group and portal users, users without a hash, unknown ones: 10, no cookie")
def _(c):
    for name in ("inactive", "gone", "group", "portal", "external", "nohash", "nobody", ""):
        reply = c.raw("login", [{**PLAIN, "user_name": name}])
        assert json.loads(reply.body) == fault(10), name
        assert not reply.headers["Set-Cookie"]
    for auth in (None, [], "x", {}, {"user_name": "jim"}):
        assert c.data("login", [auth]) == fault(10)


@quirk("logout", "answers null and ends the session")
def _(c):
    session = c.data("login", [PLAIN])["id"]
    assert c.raw("logout", [session]).body == b"null"
    assert c.data("get_user_id", [session]) == fault(11)


@quirk("get_user_id", "the id as a string")
def _(c):
    assert c.raw("get_user_id", [c.session]).body == b'"1"'


@quirk("seamless_login", "1, and 0 for an unknown session")
def _(c):
    assert c.raw("seamless_login", [c.session]).body == b"1"
    assert c.raw("seamless_login", ["nosuch"]).body == b"0"


@quirk("get_server_info", "flavor, version, suitecrm_version, gmt_time; no session needed")
def _(c):
    info = c.data("get_server_info", [])
    assert list(info) == ["flavor", "version", "suitecrm_version", "gmt_time"] and info["flavor"] == "CE"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", info["gmt_time"])
    assert c.text("get_server_info", None).status == 200


# ---- reading

@quirk("get_entry", "entry_list and relationship_list; a link is {name, records} without link_value")
def _(c):
    account, contact = c.create("Accounts", name="shape"), c.create("Contacts", last_name="Shape")
    c("set_relationship", "Accounts", account, "contacts", [contact])
    reply = c("get_entry", "Accounts", account, ["name"], [{"name": "contacts", "value": ["id"]}])
    assert reply == {"entry_list": [{"id": account, "module_name": "Accounts",
                                     "name_value_list": pair("name", "shape")}],
                     "relationship_list": [[{"name": "contacts", "records": [pair("id", contact)]}]]}


@quirk("get_entry", "fields come in the module's order, unknown ones are left out")
def _(c):
    key = c.create("Accounts", name="order", industry="Media")
    got = c.entry("Accounts", key, ["industry", "nosuch", "name", "id"])
    assert list(got) == ["id", "name", "industry"]


@quirk("get_entry", "no known field selected: name_value_list is []")
def _(c):
    key = c.create("Accounts", name="none")
    assert c("get_entry", "Accounts", key, ["nosuch"])["entry_list"][0]["name_value_list"] == []


@quirk("get_entry", "no select_fields: every field")
def _(c):
    key = c.create("Accounts", name="all")
    for select in ([], None):
        assert len(c.entry("Accounts", key, select)) > 30


@quirk("get_entry", "an unknown or deleted id is a warning in an array, the id as it was sent")
def _(c):
    key = c.create("Accounts", name="dead")
    c("set_entry", "Accounts", {"id": key, "deleted": 1})
    for dead in ("No Such", key):
        assert c("get_entry", "Accounts", dead, ["name"], [{"name": "contacts", "value": ["id"]}]) == {
            "entry_list": [{"id": dead, "module_name": "Accounts", "name_value_list": GONE}], "relationship_list": []}


@quirk("get_entry", "an id in capitals or with a blank at its end finds the row, and reads as stored")
def _(c):
    key = c.create("Accounts", name="case")
    for sent in (key.upper(), key + " "):
        reply = c("get_entry", "Accounts", sent, ["name"])["entry_list"][0]
        assert reply["name_value_list"] == pair("name", "case")


@quirk("get_entry", "values are strings: NULL is \"\", a bool \"1\" or \"0\"")
def _(c):
    key = c.create("Contacts", last_name="v", do_not_call=True)
    got = c.entry("Contacts", key, ["do_not_call", "deleted", "birthdate", "title"])
    assert got == pairs(do_not_call="1", deleted="0", birthdate="", title="")


@quirk("get_entry", "text is encoded by exactly four replacements")
def _(c):
    key = c.create("Accounts", description="\"a\" 'b' <i>c</i> g&h ö")
    assert c.entry("Accounts", key, ["description"])["description"]["value"] == \
        "&quot;a&quot; &#039;b&#039; &lt;i&gt;c&lt;/i&gt; g&h ö"


@quirk("get_entry", "email1 reads raw")
def _(c):
    key = c.create("Accounts", name="mail", email1="o'neil@example.com")
    assert c.entry("Accounts", key, ["email1"]) == pair("email1", "o'neil@example.com")


@quirk("get_entry", "a related name that is not there is left out")
def _(c):
    key = c.create("Contacts", last_name="alone")
    assert list(c.entry("Contacts", key, ["account_name", "account_id", "last_name"])) == ["last_name"]


@quirk("get_entry", "show_preview, reminder_checked and email_reminder_checked are JSON true or false")
def _(c):
    call, note = c.create("Calls", name="f"), c.create("Notes", name="f")
    names = ["parent_id", "reminder_checked", "email_reminder_checked", "reminder_time"]
    got = c.entry("Calls", call, names)
    assert list(got) == ["parent_id", "reminder_checked", "reminder_time", "email_reminder_checked"]
    assert (got["reminder_checked"]["value"], got["email_reminder_checked"]["value"]) == (False, False)
    assert c.entry("Notes", note, ["show_preview"]) == pair("show_preview", False)
    call = c.create("Calls", name="f", reminder_time=60)
    assert c.entry("Calls", call, ["reminder_checked"]) == pair("reminder_checked", True)
    assert "show_preview" in c.entry("Notes", note, [])
    assert c("get_module_fields", "Notes", ["show_preview"])["module_fields"]["show_preview"]["type"] == "bool"


@quirk("get_entry", "user_hash always reads \"\"")
def _(c):
    assert c.entry("Users", "1", ["user_hash", "user_name"]) == pairs(user_name="jim", user_hash="")


@quirk("get_entry", "an unknown link has no records; an unknown field of a link is \"\"")
def _(c):
    account, contact = c.create("Accounts", name="l"), c.create("Contacts", last_name="L")
    c("set_relationship", "Accounts", account, "contacts", [contact])
    reply = c("get_entry", "Accounts", account, ["id"],
              [{"name": "nosuch", "value": ["id"]}, {"name": "contacts", "value": ["nosuch", "last_name"]}])
    assert reply["relationship_list"] == [[{"name": "nosuch", "records": []}, {
        "name": "contacts", "records": [pairs(nosuch="", last_name="L")]}]]


MAIL = [{"name": "email_addresses", "value": ["email_address", "primary_address"]}]


@quirk("get_entry", "the link email_addresses has the primary address, encoded, where email1 reads raw")
def _(c):
    key, none = c.create("Accounts", name="mail", email1="o'a@example.com"), c.create("Accounts", name="mail")
    record = pairs(email_address="o&#039;a@example.com", primary_address="")
    reply = c("get_entry", "Accounts", key, ["name"], MAIL)
    assert reply["relationship_list"] == [[{"name": "email_addresses", "records": [record]}]]
    assert reply["entry_list"][0]["name_value_list"] == pair("name", "mail")
    assert c("get_entry", "Accounts", none, ["name"], MAIL)["relationship_list"] == [
        [{"name": "email_addresses", "records": []}]]
    listed = c("get_entry_list", "Accounts", "accounts.name = 'mail'", "id", 0, ["id"], MAIL)
    by_id = dict(zip((e["id"] for e in listed["entry_list"]), listed["relationship_list"]))
    assert by_id[key] == {"link_list": [{"name": "email_addresses", "records": [{"link_value": record}]}]}
    assert by_id[none] == {"link_list": [{"name": "email_addresses", "records": []}]}


@quirk("get_entry", "what else the link email_addresses knows of an address reads \"\"; further addresses are not there",
       "every address, with its id and opt-out")
def _(c):
    key = c.create("Contacts", last_name="mail", email1="a@example.com")
    link = [{"name": "email_addresses", "value": ["id", "email_address", "opt_out"]}]
    assert c("get_entry", "Contacts", key, ["id"], link)["relationship_list"] == [
        [{"name": "email_addresses", "records": [pairs(id="", email_address="a@example.com", opt_out="")]}]]


@quirk("get_entries", "an unknown id takes no slot in relationship_list")
def _(c):
    one, two = c.create("Accounts", name="one"), c.create("Accounts", name="two")
    reply = c("get_entries", "Accounts", [one, "nosuch", two], ["name"], [{"name": "contacts", "value": ["id"]}])
    assert [e["id"] for e in reply["entry_list"]] == [one, "nosuch", two]
    assert reply["entry_list"][1]["name_value_list"] == GONE
    assert len(reply["relationship_list"]) == 2


@quirk("get_entry_list", "result_count a number, total_count a string, next_offset a number")
def _(c):
    for _i in range(3):
        c.create("Accounts", name="counted")
    reply = c("get_entry_list", "Accounts", "accounts.name = 'counted'", "", 0, ["name"], [], 2, 0)
    assert [reply[k] for k in ("result_count", "total_count", "next_offset")] == [2, "3", 2]
    assert list(reply) == ["result_count", "total_count", "next_offset", "entry_list", "relationship_list"]


@quirk("get_entry_list", "total_count is the number 0 when nothing matches")
def _(c):
    assert c.raw("get_entry_list", [c.session, "Accounts", "accounts.name = 'never'"]).body == (
        b'{"result_count":0,"total_count":0,"next_offset":0,"entry_list":[],"relationship_list":[]}')


@quirk("get_entry_list", "a link is link_list with link_value, unlike get_entry's")
def _(c):
    account, contact = c.create("Accounts", name="wrapped"), c.create("Contacts", last_name="W")
    c("set_relationship", "Accounts", account, "contacts", [contact])
    reply = c("get_entry_list", "Accounts", "accounts.name = 'wrapped'", "", 0, ["id"],
              [{"name": "contacts", "value": ["id"]}], 5, 0)
    assert reply["relationship_list"] == [
        {"link_list": [{"name": "contacts", "records": [{"link_value": pair("id", contact)}]}]}]


@quirk("get_entry_list", "next_offset is offset plus rows, unchecked; -1 is 0")
def _(c):
    for _i in range(3):
        c.create("Accounts", name="offset")

    def next_of(offset):
        return c("get_entry_list", "Accounts", "accounts.name = 'offset'", "", offset, ["id"])["next_offset"]
    assert [next_of(x) for x in (0, 1000, -5, "2", None, "", -1)] == [3, 1000, -2, 3, 3, 3, 3]


@quirk("get_entry_list", "an offset or limit that is no number is error 1001", "500 with an empty body")
def _(c):
    assert c("get_entry_list", "Accounts", "", "", "x") == fault(1001)
    assert c("get_entry_list", "Accounts", "", "", 0, [], [], "x") == fault(1001)


@quirk("get_entry_list", "a limit of 0, -1, null or \"\" is the default page of 20; 2.5 is 2")
def _(c):
    c("set_entries", "Accounts", [{"name": "paged"}] * 22)

    def rows(limit):
        return c("get_entry_list", "Accounts", "accounts.name = 'paged'", "", 0, ["id"], [], limit)["result_count"]
    assert [rows(x) for x in (0, -1, None, "", 2.5, "3", 21)] == [20, 20, 20, 20, 2, 3, 21]


@quirk("get_entry_list", "deleted: 0, \"0\", false and null are live rows; anything else is all")
def _(c):
    one, _two = c.create("Accounts", name="halfdead"), c.create("Accounts", name="halfdead")
    c("set_entry", "Accounts", {"id": one, "deleted": 1})

    def rows(deleted):
        reply = c("get_entry_list", "Accounts", "accounts.name = 'halfdead'", "", 0, ["id"], [], 9, deleted)
        return reply["result_count"]
    assert [rows(x) for x in (0, "0", False, None)] == [1] * 4
    assert [rows(x) for x in (1, "1", True, "", "false", 2)] == [2] * 6


@quirk("get_entry_list", "order_by sorts by a bare field; unknown, qualified and functions are ignored; ' ' is 40")
def _(c):
    c("set_entries", "Accounts", [{"name": "sorted", "industry": x} for x in ("b", "c", "a")])

    def seen(order):
        reply = c("get_entry_list", "Accounts", "accounts.name = 'sorted'", order, 0, ["industry"])
        return reply if "number" in reply else "".join(
            e["name_value_list"]["industry"]["value"] for e in reply["entry_list"])
    assert (seen("industry"), seen("industry DESC"), seen("industry asc")) == ("abc", "cba", "abc")
    unsorted = seen("")
    for order in ("nosuch", "accounts.industry DESC", "upper(industry)"):
        assert seen(order) == unsorted
    assert seen(" ") == fault(40)


@quirk("get_entry_list", "query takes columns with or without their table, AND, OR, NOT, LIKE, IN, BETWEEN, IS NULL")
def _(c):
    c("set_entries", "Accounts", [{"name": "asked", "industry": x, "phone_office": x * 2} for x in ("k", "l", "o'm")])

    def rows(query):
        return c("get_entries_count", "Accounts", f"accounts.name = 'asked' AND ({query})", 0)["result_count"]
    assert rows("industry = 'k' OR accounts.industry = 'l'") == "2"
    assert rows("industry LIKE 'o%' AND phone_office NOT LIKE 'k%'") == "1"
    assert rows("industry IN ('k', 'L')") == "2"
    assert rows("industry BETWEEN 'k' AND 'l'") == "2"
    assert rows("website IS NULL OR website = ''") == "3"
    assert rows("NOT (industry <> 'k')") == "1"
    assert rows("industry = 'o''m'") == rows("industry = 'o\\'m'") == "1"
    assert rows("upper(industry) = 'K'") == "1"


BAD_QUERIES = ["sleep(1)=0", "1=1", "x OR 1=1", "name = 'a' OR 1=1", "id in (select id from users)",
               "name = 'a'; DROP TABLE accounts", "name = 'a' -- ", "name = 'a' /* x */", "user_hash = 'x'",
               "accounts.id in (select eabr.bean_id from users)", "name = 'a' UNION SELECT 1",
               "users.user_name = 'jim'",
               "nosuch = 1", "accounts.nosuch = 1", "benchmark(9,md5(1))=0", "name = name", "name = @@version",
               "name LIKE 'a' ESCAPE '!'", "exists (select 1)", "(name = 'a'", "name =", "name = 'a", "name = 0x61",
               "if(1,1,1)", "name REGEXP 'a'", "accounts.name = 'a' LIMIT 1", "load_file('x') = 1", "`name` = `name`"]


@quirk("get_entry_list", "a query outside of the allow-list answers 40",
       "a block-list that leaks: `sleep(1)=0` and `x OR 1=1` run as SQL")
def _(c):
    for query in BAD_QUERIES:
        assert c("get_entry_list", "Accounts", query) == fault(40), query


@quirk("get_entries_count", "a query outside of the allow-list answers 40",
       'what leaks runs; what fails is 200 with `{"result_count":null}`')
def _(c):
    for query in BAD_QUERIES:
        assert c("get_entries_count", "Accounts", query, 0) == fault(40), query


@quirk("get_entry_list", "offsets and limits as PHP reads numbers: blanks around, exponents, true; huge ones are no error")
def _(c):
    for i in range(3):
        c.create("Accounts", name="numbers")

    def rows(offset, limit):
        reply = c("get_entry_list", "Accounts", "accounts.name = 'numbers'", "", offset, ["id"], [], limit)
        return reply["result_count"]
    assert [rows(0, x) for x in (True, " 2", "2 ", "2e0", 10**18, 10**30, "9999999999999")] == [1, 2, 2, 2, 3, 3, 3]
    assert [rows(x, 20) for x in (True, "1e0", 10**18, 10**30)] == [2, 2, 0, 0]


@quirk("get_entry_list", "the sub-select for e-mail addresses is understood, however it is written")
def _(c):
    key = c.create("Accounts", name="submail", email1="sub@mail.example")
    query = ("accounts.id in (select eabr.bean_id from email_addr_bean_rel eabr INNER JOIN email_addresses ea on"
             " eabr.email_address_id = ea.id where eabr.bean_module = 'Accounts' and"
             " ea.email_address LIKE '%@MAIL.e%')")
    other = ("accounts.id IN (SELECT bean_id FROM email_addr_bean_rel r JOIN email_addresses a ON (a.id ="
             " r.email_address_id) WHERE a.email_address_caps = 'SUB@MAIL.EXAMPLE' AND r.deleted=0)")
    for text in (query, other):
        assert [e["id"] for e in c("get_entry_list", "Accounts", text)["entry_list"]] == [key]


@quirk("get_entry_list", "favorites answer error 30", "the user's favourites, kept in a table that no map has")
def _(c):
    assert c("get_entry_list", "Accounts", "", "", 0, ["id"], [], 5, 0, True) == fault(30)
    assert "entry_list" in c("get_entry_list", "Accounts", "", "", 0, ["id"], [], 5, 0, "")


@quirk("get_entries_count", "a string, \"0\" too")
def _(c):
    c.create("Accounts", name="onlyone")
    assert c("get_entries_count", "Accounts", "accounts.name = 'onlyone'", 0) == {"result_count": "1"}
    assert c("get_entries_count", "Accounts", "accounts.name = 'never'", 0) == {"result_count": "0"}


@quirk("get_entries_count", "deleted: 0, \"0\", false and null count live rows; anything else counts all")
def _(c):
    one, _two = c.create("Accounts", name="halfcount"), c.create("Accounts", name="halfcount")
    c("set_entry", "Accounts", {"id": one, "deleted": 1})
    for deleted, want in ((0, "1"), ("0", "1"), (False, "1"), (None, "1"), (1, "2"), (True, "2"), ("", "2"),
                          ("false", "2")):
        assert c("get_entries_count", "Accounts", "name = 'halfcount'", deleted) == {"result_count": want}, deleted


@quirk("set_entry", "a delete takes the e-mail addresses with it")
def _(c):
    key = c.create("Accounts", name="mailed", email1="gone@example.com")
    c("set_entry", "Accounts", {"id": key, "deleted": 1})
    if c.side == "legacy":
        assert list(c.crm.legacy.query("SELECT deleted FROM email_addr_bean_rel WHERE bean_id = ?", (key,))) == [(1,)]
    assert c("get_entries_count", "Accounts", "name = 'mailed'", 0) == {"result_count": "0"}


# ---- writing

@quirk("set_entry", "reply: the id and what was given, in the module's order")
def _(c):
    reply = c("set_entry", "Accounts", [{"name": "industry", "value": "Media"}, {"name": "name", "value": "echo"}])
    assert list(reply) == ["id", "entry_list"] and len(reply["id"]) == 36
    assert list(reply["entry_list"].items()) == list(pairs(name="echo", industry="Media").items())


@quirk("set_entry", "name_value_list as an array of pairs, an object of pairs or a flat object")
def _(c):
    for values in ([{"name": "name", "value": "form"}], {"name": {"name": "name", "value": "form"}},
                   {"x": {"name": "name", "value": "form"}}, {"name": "form"}):
        key = c("set_entry", "Accounts", values)["id"]
        assert c.entry("Accounts", key, ["name"]) == pair("name", "form")


@quirk("set_entry", "the echo is typed: bool true or false, numbers as numbers; reading gives strings")
def _(c):
    reply = c("set_entry", "Opportunities", {"name": "typed", "amount": "1,234.56", "probability": "30"})
    assert reply["entry_list"] == pairs(name="typed", amount=1234.56, probability=30)
    assert c.entry("Opportunities", reply["id"], ["amount", "probability"]) == pairs(amount="1234.56",
                                                                                     probability="30")
    reply = c("set_entry", "Contacts", {"last_name": "typed", "do_not_call": "1"})
    assert reply["entry_list"]["do_not_call"]["value"] is True


@quirk("set_entry", "a null field is missing from the echo and stays as it is; nothing but null: []")
def _(c):
    key = c.create("Accounts", name="kept", industry="Media")
    assert c("set_entry", "Accounts", {"id": key, "industry": None})["entry_list"] == pair("id", key)
    assert c.entry("Accounts", key, ["industry"]) == pair("industry", "Media")
    assert c("set_entry", "Accounts", {"industry": None})["entry_list"] == []


@quirk("set_entry", "the echo of text is encoded twice over, entities by name")
def _(c):
    def echo(text):
        return c("set_entry", "Accounts", {"description": text})["entry_list"]["description"]["value"]
    assert echo("O'Neil") == "O&#039;Neil"
    assert echo('"ö€\u00a0') == "&quot;&ouml;&euro;&nbsp;"
    assert echo("<b>x</b>") == "&lt;b&gt;x&lt;/b&gt;"
    assert echo("a < b & c") == "a &amp;lt; b &amp;amp; c"
    assert echo("日本") == "日本"


@quirk("set_entry", "stored text: entities decoded, encoded markup dropped, name trimmed and description not")
def _(c):
    key = c.create("Accounts", name="  A &amp; B ", description="  x ")
    assert c.legacy_or_new("Accounts", key, "name", "description") == ("A & B", "  x ")
    key = c.create("Accounts", description="&lt;b&gt;")
    assert c.legacy_or_new("Accounts", key, "description") == ("",)


@quirk("set_entry", "CR, NUL and control characters are dropped, scripts stripped")
def _(c):
    key = c.create("Accounts", description="a\r\nb\0c\x07d\te")
    assert c.legacy_or_new("Accounts", key, "description") == ("a\nbcd\te",)
    key = c.create("Accounts", description="a<script>alert(1)</script>b<blink>c")
    assert c.legacy_or_new("Accounts", key, "description") == ("abc",)


@quirk("set_entry", "text is cut at its column's length, in characters")
def _(c):
    key = c.create("Accounts", name="ä" * 151)
    assert c.legacy_or_new("Accounts", key, "name") == ("ä" * 150,)


@quirk("set_entry", "text without a length is cut at 65535 bytes, between characters")
def _(c):
    key = c.create("Accounts", description="ä" * 40000)
    assert c.legacy_or_new("Accounts", key, "description") == ("ä" * 32767,)


@quirk("set_entry", "an emoji is kept where the store can hold it", "`????`, its connection being utf8mb3")
def _(c):
    key = c.create("Accounts", name="a😀b")
    assert c.entry("Accounts", key, ["name"]) == pair("name", "a😀b")


@quirk("set_entry", "every cut is counted in ficus_v4_1_text_cut_total", "cuts in silence")
def _(c):
    name = 'ficus_v4_1_text_cut_total{entity="account"}'
    before = c.crm.metric(name)
    c.create("Accounts", name="y" * 151)
    assert c.crm.metric(name) == before + 1


@quirk("set_entry", "deleted 1, \"1\" or true deletes; \"true\" and 2 do not")
def _(c):
    for value, gone in ((1, True), ("1", True), (True, True), ("true", False), (2, False), (0, False)):
        key = c.create("Accounts", name="todelete")
        c("set_entry", "Accounts", {"id": key, "deleted": value})
        assert (c("get_entry", "Accounts", key, ["id"])["entry_list"][0]["name_value_list"] == GONE) is gone, value


@quirk("set_entry", "a delete keeps the row and deletes its links")
def _(c):
    account, contact = c.create("Accounts", name="d"), c.create("Contacts", last_name="D")
    c("set_relationship", "Accounts", account, "contacts", [contact])
    c("set_entry", "Contacts", {"id": contact, "deleted": 1})
    assert c("get_relationships", "Accounts", account, "contacts", "", ["id"])["entry_list"] == []
    rows = c("get_entry_list", "Contacts", "contacts.last_name = 'D'", "", 0, ["id", "deleted"], [], 5, 1)
    assert rows["entry_list"][0]["name_value_list"]["deleted"]["value"] == "1"


@quirk("set_entry", "an id with a quote or a blank, or a list as id, answers null and writes nothing")
def _(c):
    for bad in ("a'b", 'a"b', "a b", ["x"], {"x": "y"}):
        values = [{"name": "id", "value": bad}, {"name": "name", "value": "badid"}]
        assert c.raw("set_entry", [c.session, "Accounts", values]).body == b"null"
    assert c("get_entries_count", "Accounts", "name = 'badid'", 0) == {"result_count": "0"}


@quirk("set_entry", "an unknown id is answered and nothing inserted")
def _(c):
    assert c("set_entry", "Accounts", {"id": "ghost", "name": "g"}) == {
        "id": "ghost", "entry_list": pairs(id="ghost", name="g")}
    assert c("get_entry", "Accounts", "ghost", ["id"])["entry_list"][0]["name_value_list"] == GONE


@quirk("set_entry", "such phantom updates are counted and logged", "nobody hears of them")
def _(c):
    name = 'ficus_v4_1_phantom_updates_total{entity="account"}'
    before = c.crm.metric(name)
    c("set_entry", "Accounts", {"id": "ghost", "name": "g"})
    assert c.crm.metric(name) == before + 1


@quirk("set_entry", "new_with_id inserts under the given id")
def _(c):
    assert c("set_entry", "Accounts", {"id": "my-own", "new_with_id": True, "name": "n"})["id"] == "my-own"
    assert c.entry("Accounts", "my-own", ["name"]) == pair("name", "n")


@quirk("set_entry", "new_with_id of an id that exists is error 1001", "500")
def _(c):
    for want in ("id", "number"):
        assert want in c("set_entry", "Accounts", {"id": "twice", "new_with_id": True, "name": "n"})


@quirk("set_entry", "an empty list inserts a blank row; required fields are not enforced, unknown ones dropped")
def _(c):
    blank = c("set_entry", "Accounts", [])
    assert blank["entry_list"] == [] and c.entry("Accounts", blank["id"], ["name"]) == pair("name", "")
    odd = c("set_entry", "Accounts", {"nosuch": 1})
    assert odd["entry_list"] == [] and len(odd["id"]) == 36


@quirk("set_entry", "bool: \"off\", \"false\", \"0\" and \"\" are false, any other text true")
def _(c):
    for value, want in (("off", "0"), ("false", "0"), ("0", "0"), ("", "0"), ("no", "1"), ("on", "1"), (True, "1"),
                        (False, "0"), (1, "1"), (0, "0")):
        key = c.create("Contacts", last_name="b", do_not_call=value)
        assert c.entry("Contacts", key, ["do_not_call"]) == pair("do_not_call", want), value


@quirk("set_entry", "dates only ISO, one digit will do; what is none is stored as NULL")
def _(c):
    for value, echo, want in (("1970-2-8", "1970-2-8", "1970-02-08"), ("1970-02-08", "1970-02-08", "1970-02-08"),
                              ("02/08/1970", "", ""), ("1970-02-30", "1970-02-30", ""), ("x", "", "")):
        made = c("set_entry", "Contacts", {"last_name": "d", "birthdate": value})
        assert made["entry_list"]["birthdate"]["value"] == echo
        assert c.entry("Contacts", made["id"], ["birthdate"]) == pair("birthdate", want)


@quirk("set_entry", "datetimes exactly Y-m-d H:i:s; anything else becomes \"\"")
def _(c):
    for value, want in (("2024-01-02 03:04:05", "2024-01-02 03:04:05"), ("2024-01-02T03:04:05", ""),
                        ("2024-01-02 03:04", ""), ("2024-1-2 03:04:05", ""), ("01/02/2024 03:04", "")):
        made = c("set_entry", "Calls", {"name": "c", "date_start": value})
        assert made["entry_list"]["date_start"]["value"] == want
        assert c.entry("Calls", made["id"], ["date_start"]) == pair("date_start", want)


@quirk("set_entry", "amounts: thousands' commas go, a sign in front too, no number is 0; 1e15 reads \"1e15\"")
def _(c):
    for value, want in (("1,234.56", "1234.56"), ("1.234,56", "1.23456"), ("$5", "5"), ("abc", "0"),
                        (1e15, "1e15"), ("1234", "1234")):
        key = c.create("Opportunities", name="a", amount=value)
        assert c.entry("Opportunities", key, ["amount"]) == pair("amount", want), value


@quirk("set_entry", "derived: probability of the sales stage, date_end of a call, state of a case, status of a lead")
def _(c):
    for stage, want in (("Prospecting", "10"), ("Closed Lost", "0"), ("nosuch", "")):
        key = c.create("Opportunities", name="p", sales_stage=stage)
        assert c.entry("Opportunities", key, ["probability"]) == pair("probability", want)
    key = c.create("Opportunities", name="p", sales_stage="Prospecting", probability=55)
    assert c.entry("Opportunities", key, ["probability"]) == pair("probability", "55")
    key = c.create("Calls", name="c", date_start="2024-01-01 23:30:00", duration_hours=1, duration_minutes=15)
    assert c.entry("Calls", key, ["date_end"]) == pair("date_end", "2024-01-02 00:45:00")
    assert c.entry("Cases", c.create("Cases", name="k"), ["state"]) == pair("state", "Open")
    assert c.entry("Leads", c.create("Leads", last_name="l"), ["status"]) == pair("status", "New")


@quirk("set_entry", "created_by is ignored on create and stored on update; date_entered is kept as given")
def _(c):
    key = c.create("Accounts", name="by", created_by="2", date_entered="2001-02-03 04:05:06")
    assert c.entry("Accounts", key, ["created_by", "date_entered"]) == pairs(date_entered="2001-02-03 04:05:06",
                                                                             created_by="1")
    c("set_entry", "Accounts", {"id": key, "created_by": "2"})
    assert c.entry("Accounts", key, ["created_by"]) == pair("created_by", "2")


@quirk("set_entry", "date_modified is kept with update_date_modified false")
def _(c):
    key = c.create("Accounts", name="mod")
    c("set_entry", "Accounts", {"id": key, "date_modified": "2001-02-03 04:05:06", "update_date_modified": False})
    assert c.entry("Accounts", key, ["date_modified"]) == pair("date_modified", "2001-02-03 04:05:06")
    c("set_entry", "Accounts", {"id": key, "date_modified": "2001-02-03 04:05:06"})
    assert c.entry("Accounts", key, ["date_modified"]) != pair("date_modified", "2001-02-03 04:05:06")


@quirk("set_entry", "a changed email1 is kept", "echoed as done, and lost")
def _(c):
    key = c.create("Accounts", name="m", email1="old@example.com")
    c("set_entry", "Accounts", {"id": key, "email1": "new@example.com"})
    assert c.entry("Accounts", key, ["email1"]) == pair("email1", "new@example.com")


@quirk("set_entry", "on Users, by who is no administrator, answers 40")
def _(c):
    assert c.other("set_entry", "Users", {"id": "1", "title": "x"}) == fault(40)
    assert c.other("set_entries", "Users", [{"id": "1", "title": "x"}]) == fault(40)


@quirk("set_entry", "on Users, by an administrator, makes and changes them")
def _(c):
    made = c("set_entry", "Users", {"user_name": "made", "last_name": "O'Made", "status": "Active", "title": "Clerk"})
    assert made["entry_list"]["last_name"]["value"] == "O&#039;Made"
    c("set_entry", "Users", {"id": made["id"], "title": "Chief"})
    got = c.entry("Users", made["id"], ["user_name", "title", "deleted"])
    assert got == pairs(user_name="made", title="Chief", deleted="0"), got
    assert c.data("login", [{**PLAIN, "user_name": "made"}]) == fault(10)  # he has no password yet
    c("set_entry", "Users", {"id": made["id"], "deleted": 1})
    assert c("get_entry", "Users", made["id"], ["id"])["entry_list"][0]["name_value_list"] == GONE
    assert c.other("get_entry", "Users", "1", ["user_name"])["entry_list"][0]["name_value_list"] == pair("user_name", "jim")


@quirk("set_entry", "user_hash can never be written, not by an administrator either",
       "an administrator overwrites any user's password with it")
def _(c):
    for user in ("1", "2"):
        assert c("set_entry", "Users", {"id": user, "user_hash": "x"}) == {"id": user, "entry_list": pair("id", user)}
    assert "id" in c.data("login", [PLAIN]) and "id" in c.data("login", [{**PLAIN, "user_name": "sally"}])


@quirk("set_entries", "ids in the order given; null answers no ids")
def _(c):
    ids = c("set_entries", "Accounts", [[{"name": "name", "value": "s1"}], {"name": "s2"}])["ids"]
    assert [c.entry("Accounts", key, ["name"])["name"]["value"] for key in ids] == ["s1", "s2"]
    assert c("set_entries", "Accounts", None) == {"ids": []}


@quirk("set_entries", "on Contacts duplicates answer the row that is there, and account_name makes an account")
def _(c):
    one = {"last_name": "Twin", "email1": "twin@example.com", "account_name": "Twins"}
    ids = c("set_entries", "Contacts", [one, one])["ids"]
    assert ids[0] == ids[1]
    assert c.entry("Contacts", ids[0], ["account_name"]) == pair("account_name", "Twins")
    assert c("get_entries_count", "Accounts", "name = 'Twins'", 0) == {"result_count": "1"}


@quirk("set_entries", "a label of an enum stands for its key, unlike in set_entry")
def _(c):
    one = c("set_entries", "Cases", [{"name": "k", "priority": "High"}])["ids"][0]
    assert c.entry("Cases", one, ["priority"]) == pair("priority", "P1")
    two = c.create("Cases", name="k", priority="High")
    assert c.entry("Cases", two, ["priority"]) == pair("priority", "High")
    odd = c("set_entries", "Cases", [{"name": "k", "priority": "None of them"}])["ids"][0]
    assert c.entry("Cases", odd, ["priority"]) == pair("priority", "None of them")


@quirk("set_entries", "on Calls a known outlook_id updates the call that has it")
def _(c):
    one = c("set_entries", "Calls", [{"name": "first", "outlook_id": "O-1"}])["ids"][0]
    two = c("set_entries", "Calls", [{"name": "second", "outlook_id": "O-1"}, {"name": "third"}])["ids"]
    assert two[0] == one != two[1]
    assert c.entry("Calls", one, ["name"]) == pair("name", "second")


# ---- relationships

@quirk("get_relationships", "entry_list and relationship_list, links in get_entry's shape")
def _(c):
    account, contact = c.create("Accounts", name="rel"), c.create("Contacts", last_name="Rel")
    c("set_relationship", "Accounts", account, "contacts", [contact])
    reply = c("get_relationships", "Accounts", account, "contacts", "", ["id", "last_name"],
              [{"name": "accounts", "value": ["name"]}], 0)
    assert reply == {
        "entry_list": [{"id": contact, "module_name": "Contacts",
                        "name_value_list": pairs(id=contact, last_name="Rel")}],
        "relationship_list": [[{"name": "accounts", "records": [pair("name", "rel")]}]]}


@quirk("get_relationships", "without id among the fields the id is null; without fields only what has a default")
def _(c):
    account, contact = c.create("Accounts", name="rel"), c.create("Contacts", last_name="Rel")
    c("set_relationship", "Accounts", account, "contacts", [contact])
    reply = c("get_relationships", "Accounts", account, "contacts", "", ["last_name"])
    assert reply["entry_list"] == [{"id": None, "module_name": "Contacts", "name_value_list": pair("last_name", "Rel")}]
    reply = c("get_relationships", "Accounts", account, "contacts", "", [])
    assert reply["entry_list"][0]["id"] is None and "last_name" not in reply["entry_list"][0]["name_value_list"]


@quirk("get_relationships", "a limit of 0 is no limit; offset, order_by, related_query and deleted count")
def _(c):
    account = c.create("Accounts", name="many")
    ids = c("set_entries", "Leads", [{"last_name": f"L{i:02}"} for i in range(3)])["ids"]
    contacts = [c.create("Contacts", last_name=f"R{i:02}") for i in range(25)]
    assert ids and c("set_relationship", "Accounts", account, "contacts", contacts)["created"] == 1

    def last_names(query="", order="last_name", offset=0, limit=0, deleted=0):
        reply = c("get_relationships", "Accounts", account, "contacts", query, ["last_name"], [], deleted, order,
                  offset, limit)
        return [e["name_value_list"]["last_name"]["value"] for e in reply["entry_list"]]
    assert len(last_names()) == 25
    assert last_names(offset=2, limit=2) == ["R02", "R03"]
    assert last_names("contacts.last_name LIKE 'R0%'", "last_name DESC", 0, 1) == ["R09"]


@quirk("get_relationships", "email_addresses is the primary address, encoded")
def _(c):
    key, contact = c.create("Leads", last_name="mail", email1="o'a@example.com"), c.create("Contacts", last_name="none")
    assert c("get_relationships", "Leads", key, "email_addresses", "", ["email_address"]) == {
        "entry_list": [{"id": None, "module_name": "EmailAddresses",
                        "name_value_list": pair("email_address", "o&#039;a@example.com")}], "relationship_list": []}
    assert c("get_relationships", "Contacts", contact, "email_addresses", "", ["email_address"])["entry_list"] == []
    account, person = c.create("Accounts", name="mails"), c.create("Contacts", last_name="m", email1="m@example.com")
    c("set_relationship", "Accounts", account, "contacts", [person])
    for fields in (["id"], []):
        reply = c("get_relationships", "Accounts", account, "contacts", "", fields, MAIL)
        assert reply["relationship_list"] == [[{"name": "email_addresses", "records": [
            pairs(email_address="m@example.com", primary_address="")]}]]


@quirk("get_relationships", "an unknown link has no rows")
def _(c):
    account = c.create("Accounts", name="rel")
    assert c("get_relationships", "Accounts", account, "nosuch", "", ["id"]) == {
        "entry_list": [], "relationship_list": []}


@quirk("get_relationships", "an unknown or deleted parent is error 1001", "500 with an empty body")
def _(c):
    key = c.create("Accounts", name="rel")
    c("set_entry", "Accounts", {"id": key, "deleted": 1})
    for dead in (key, "nosuch"):
        assert c("get_relationships", "Accounts", dead, "contacts", "", ["id"]) == fault(1001)


@quirk("set_relationship", "counts are per call; repeating a link adds no row; unknown ids count as created")
def _(c):
    account, contact = c.create("Accounts", name="sr"), c.create("Contacts", last_name="SR")
    for ids in ([contact], [contact], ["nosuch"], [contact, "nosuch"]):
        assert c("set_relationship", "Accounts", account, "contacts", ids) == {"created": 1, "failed": 0, "deleted": 0}
    assert len(c("get_relationships", "Accounts", account, "contacts", "", ["id"])["entry_list"]) == 1
    assert c("set_relationship", "Accounts", "nosuch", "contacts", [contact])["created"] == 1


@quirk("set_relationship", "delete 1 takes the link away")
def _(c):
    account, contact = c.create("Accounts", name="sr"), c.create("Contacts", last_name="SR")
    c("set_relationship", "Accounts", account, "contacts", [contact])
    gone = c("set_relationship", "Accounts", account, "contacts", [contact], [], 1)
    assert gone == {"created": 0, "failed": 0, "deleted": 1}
    assert c("get_relationships", "Accounts", account, "contacts", "", ["id"])["entry_list"] == []


@quirk("set_relationship", "an unknown link or module is failed 1")
def _(c):
    failed = {"created": 0, "failed": 1, "deleted": 0}
    assert c("set_relationship", "Accounts", "1", "nosuch", ["1"]) == failed
    assert c("set_relationship", "Nosuch", "1", "contacts", ["1"]) == failed


@quirk("set_relationships", "a call for each place of the lists; counts of all of them")
def _(c):
    one, two = c.create("Accounts", name="m1"), c.create("Accounts", name="m2")
    contact, note = c.create("Contacts", last_name="M"), c.create("Notes", name="m")
    reply = c("set_relationships", ["Accounts", "Accounts", "Accounts", "Nosuch"], [one, two, one, "1"],
              ["contacts", "notes", "nosuch", "contacts"], [[contact], [note], ["1"], ["1"]])
    assert reply == {"created": 2, "failed": 2, "deleted": 0}
    for account, link, key in ((one, "contacts", contact), (two, "notes", note)):
        found = c("get_relationships", "Accounts", account, link, "", ["id"])["entry_list"]
        assert [e["id"] for e in found] == [key]


@quirk("set_relationships", "a delete flag holds for the places after it that have none")
def _(c):
    account = c.create("Accounts", name="m")
    contacts = [c.create("Contacts", last_name="M") for _i in range(3)]
    lists = (["Accounts"] * 3, [account] * 3, ["contacts"] * 3, [[x] for x in contacts], [])
    assert c("set_relationships", *lists) == {"created": 3, "failed": 0, "deleted": 0}
    assert c("set_relationships", *lists, [0, 1]) == {"created": 1, "failed": 0, "deleted": 2}
    found = c("get_relationships", "Accounts", account, "contacts", "", ["id"])["entry_list"]
    assert [e["id"] for e in found] == contacts[:1]


@quirk("set_relationships", "empty lists answer 1001")
def _(c):
    assert c("set_relationships", [], [], [], []) == fault(1001)
    assert c("set_relationships", ["Accounts"], ["1"], ["contacts"], []) == fault(1001)


# ---- searching

def searched(c, text, modules, *more):
    reply = c("search_by_module", text, modules, *more)
    return reply if "number" in reply else {m["name"]: m["records"] for m in reply["entry_list"]}


@quirk("search_by_module", "a list of modules with records, only the fields asked for and no link_value")
def _(c):
    account, lead = c.create("Accounts", name="Findling"), c.create("Leads", last_name="Findlinger")
    assert c("search_by_module", "findling", ["Leads", "Accounts", "Notes"], 0, 5, "", ["id"]) == {"entry_list": [
        {"name": "Accounts", "records": [pair("id", account)]}, {"name": "Leads", "records": [pair("id", lead)]},
        {"name": "Notes", "records": []}]}


@quirk("search_by_module", "the text is the beginning of a name, an e-mail address or a telephone number")
def _(c):
    key = c.create("Contacts", first_name="Ottilie", last_name="Quast", phone_mobile="0170-quast", assistant="Xaver",
                   email1="otti@quast.example")
    for text in ("ottil", "Quast", "0170-q", "otti@qu", "Ottilie Qu", "Quast Otti", "%ilie", "xav"):
        assert searched(c, text, ["Contacts"], 0, 5, "", ["id"])["Contacts"] == [pair("id", key)], text
    for text in ("tilie", "Ottilie X", "nobody"):
        assert searched(c, text, ["Contacts"], 0, 5, "", ["id"])["Contacts"] == [], text


@quirk("search_by_module", "without select_fields those of the list view; what is NULL is left out")
def _(c):
    key = c.create("Accounts", name="Listview", phone_office="1")
    record = searched(c, "listview", ["Accounts"], 0, 5)["Accounts"][0]
    assert list(record) == ["name", "phone_office", "date_entered", "id"]
    assert record["id"]["value"] == key


@quirk("search_by_module", "max_results gives one row more; -1 is the default page; offset counts")
def _(c):
    c("set_entries", "Notes", [{"name": f"pages {i:02}"} for i in range(30)])

    def rows(offset, limit):
        return len(searched(c, "pages", ["Notes"], offset, limit, "", ["id"])["Notes"])
    assert [rows(0, 5), rows(0, 0), rows(0, -1), rows(0, -99), rows(28, 5)] == [6, 1, 21, 30, 2]


@quirk("search_by_module", "assigned_user_id narrows to that user's records")
def _(c):
    c.create("Accounts", name="Assigned one", assigned_user_id="1")
    two = c.create("Accounts", name="Assigned two", assigned_user_id="2")
    assert searched(c, "assigned", ["Accounts"], 0, 5, "2", ["id"])["Accounts"] == [pair("id", two)]


@quirk("search_by_module", "an empty text finds nothing; an unknown session answers 10")
def _(c):
    assert c("search_by_module", "", ["Accounts"], 0, 5) == {"entry_list": []}
    assert c.data("search_by_module", ["nosuch", "x", ["Accounts"], 0, 5]) == fault(10)


@quirk("search_by_module", "an unknown module and Users answer 1001", "500 with an empty body")
def _(c):
    for module in ("Nosuch", "Users"):
        assert c("search_by_module", "x", ["Accounts", module], 0, 5) == fault(1001)


# ---- activities

@quirk("get_upcoming_activities", "one's own planned calls and dated opportunities to come, by date, at most ten")
def _(c):
    mine = {"assigned_user_id": "2"}
    late = c.create("Calls", name="late", date_start="2091-01-02 10:00:00", status="Planned", **mine)
    soon = c.create("Opportunities", name="o'n", date_closed="2091-01-02", sales_stage="Prospecting", **mine)
    c.create("Calls", name="held", date_start="2091-01-01 10:00:00", status="Held", **mine)
    c.create("Calls", name="past", date_start="2001-01-01 10:00:00", status="Planned", **mine)
    c.create("Calls", name="hers", date_start="2091-01-01 10:00:00", status="Planned", assigned_user_id="1")
    assert c.other("get_upcoming_activities") == [
        {"id": soon, "module": "Opportunities", "date_due": "2091-01-02", "summary": "o&#039;n"},
        {"id": late, "module": "Calls", "date_due": "2091-01-02 10:00:00", "summary": "late"}]
    for i in range(12):
        c.create("Calls", name=str(i), date_start=f"2090-01-01 10:00:{i:02}", status="Planned", **mine)
    assert [a["summary"] for a in c.other("get_upcoming_activities")] == [str(i) for i in range(10)]
    assert c.data("get_upcoming_activities", ["nosuch"]) == fault(10)


@quirk("get_upcoming_activities", "of the modules whose maps say so", "meetings and tasks too, which have no map")
def _(c):
    assert {a["module"] for a in c.other("get_upcoming_activities")} <= {"Calls", "Opportunities"}


@quirk("get_last_viewed", "answers 30, without an application that could tell",
       "what the user looked at last, from the tracker, which has no map")
def _(c):
    assert c("get_last_viewed", ["Accounts"]) == c("get_last_viewed", ["Home"]) == fault(30)


@quirk("get_last_viewed", "no module, or unknown ones only: []; an unknown session answers 10")
def _(c):
    assert c("get_last_viewed", []) == c("get_last_viewed", ["Nosuch"]) == []
    assert c.data("get_last_viewed", ["nosuch", ["Accounts"]]) == fault(10)


@quirk("get_modified_relationships", "without a date, or with an unknown related module: the error beside no rows")
def _(c):
    def error(*args):
        reply = c("get_modified_relationships", "Users", *args)
        assert (reply["result_count"], reply["next_offset"], reply["entry_list"]) == (0, 0, [])
        return reply["error"]
    assert error("Calls", "", "2024-01-01", 0, 5)["name"] == \
        "An Undefined Error - invalid_call_error, missing from_date occurred"
    assert error("Calls", "2024-01-01", "", 0, 5)["number"] == "-1"
    assert error("Nosuch", "2024-01-01", "2024-01-02", 0, 5)["number"] == 20


@quirk("get_modified_relationships", "error 31 beside no rows, without an application that could tell",
       "rows of the users' link tables, which have no map")
def _(c):
    reply = c("get_modified_relationships", "Users", "Calls", "2024-01-01", "2024-01-02", 0, 5, 0, "1", ["id"])
    assert reply == {"result_count": 0, "next_offset": 0, "field_list": ["id"], "entry_list": [], "error": {
        "number": 31, "name": "Relationship Not Supported",
        "description": "This module does not support this relationship"}}


# ---- files, which lie beside the legacy application

@quirk("get_note_attachment", "a note without a file, or an unknown one: an empty file, the parent, the id as sent")
def _(c):
    account = c.create("Accounts", name="a")
    note = c.create("Notes", name="n", parent_type="Accounts", parent_id=account)
    assert c("get_note_attachment", note) == {"note_attachment": {
        "id": note, "filename": "", "file": "", "related_module_id": account, "related_module_name": "Accounts"}}
    assert c("get_note_attachment", "nosuch") == {"note_attachment": {
        "id": "nosuch", "filename": "", "file": "", "related_module_id": None, "related_module_name": None}}
    assert c.data("get_note_attachment", ["nosuch", note]) == fault(11)


@quirk("get_note_attachment", "a note with a file answers 30", "the file, which no database holds")
def _(c):
    note = c.create("Notes", name="n", filename="a.txt")
    assert c("get_note_attachment", note) == fault(30)


@quirk("set_note_attachment", "an unknown note, or none, answers the id \"-1\"")
def _(c):
    for note in ({"id": "nosuch", "filename": "a", "file": "YQ=="}, {"filename": "a"}, {}, []):
        assert c("set_note_attachment", note) == {"id": "-1"}
    assert c("set_note_attachment", {"id": "x", "related_module_id": "1", "related_module_name": "Nosuch"}) == fault(20)


@quirk("set_note_attachment", "for a note that there is: 30, and nothing is written", "the file is stored")
def _(c):
    note = c.create("Notes", name="n")
    assert c("set_note_attachment", {"id": note, "filename": "a.txt", "file": "YQ=="}) == fault(30)
    assert c.entry("Notes", note, ["filename"]) == pair("filename", "")


@quirk("get_document_revision", "30", "the file, or error 51; documents have no map")
def _(c):
    assert c("get_document_revision", "1") == c("set_document_revision", {"id": "1"}) == fault(30)
    assert c.data("get_document_revision", ["nosuch", "1"]) == fault(11)


# ---- what there is

@quirk("get_module_fields",
       "module_name, table_name, module_fields, link_fields; required 0 or 1; options [] or object")
def _(c):
    reply = c("get_module_fields", "Accounts")
    assert list(reply) == ["module_name", "table_name", "module_fields", "link_fields"]
    assert (reply["module_name"], reply["table_name"]) == ("Accounts", "accounts")
    assert reply["module_fields"]["id"] == {
        "name": "id", "type": "id", "group": "", "id_name": "", "label": "ID", "required": 1, "options": [],
        "related_module": "", "calculated": False, "len": ""}
    assert reply["module_fields"]["industry"]["options"][""] == {"name": "", "value": ""}
    assert list(reply["module_fields"]["deleted"]["options"].values()) == [
        {"name": "", "value": ""}, {"name": 1, "value": "Yes"}, {"name": 2, "value": "No"}]
    assert reply["link_fields"]["contacts"]["module"] == "Contacts"


@quirk("get_module_fields", "a list of names narrows it")
def _(c):
    reply = c("get_module_fields", "Accounts", ["name", "nosuch"])
    assert list(reply["module_fields"]) == ["name"] and reply["link_fields"] == []


@quirk("get_module_fields_md5", "an md5 by module, for one name or a list; unknown module 20")
def _(c):
    one = c("get_module_fields_md5", "Accounts")
    assert list(one) == ["Accounts"] and re.fullmatch("[0-9a-f]{32}", one["Accounts"])
    two = c("get_module_fields_md5", ["Contacts", "Accounts", "Contacts"])
    assert list(two) == ["Contacts", "Accounts"] and two["Accounts"] == one["Accounts"] != two["Contacts"]
    assert c("get_module_fields_md5", []) == []
    assert c("get_module_fields_md5", ["Accounts", "Nosuch"]) == fault(20)
    assert c.data("get_module_fields_md5", ["nosuch", "Accounts"]) == fault(11)


@quirk("get_module_fields_md5", "the md5 is of our own answer, and changes when the map does",
       "of its own field list, as PHP serialises it")
def _(c):
    text = c.raw("get_module_fields", [c.session, "Accounts"]).body
    assert c("get_module_fields_md5", "Accounts")["Accounts"] == hashlib.md5(text).hexdigest()


@quirk("get_language_definition, get_module_layout", "30; an unknown session answers 10 and 11",
       "language packs and layouts, which the application holds and no database")
def _(c):
    layout = [["Accounts"], ["default"], ["list"]]
    calls = (("get_language_definition", [["Accounts"]], 10), ("get_module_layout", layout, 11),
             ("get_module_layout_md5", layout, 11))
    for method, args, unknown in calls:
        assert c(method, *args) == fault(30), method
        assert c.data(method, ["nosuch", *args]) == fault(unknown), method


@quirk("get_available_modules", "the short list for default, the long one for anything else")
def _(c):
    def keys(*more):
        return [m["module_key"] for m in c("get_available_modules", *more)["modules"]]
    assert "Accounts" in keys("default") and "Users" not in keys("default")
    for more in ((), ("all",), ("",), ("nosuch",)):
        assert "Users" in keys(*more)
    module = c("get_available_modules", "default")["modules"][0]
    assert list(module) == ["module_key", "module_label", "favorite_enabled", "acls"]
    assert module["acls"][0] == {"action": "edit", "access": True}


@quirk("get_available_modules", "an unknown session answers 10, not 11")
def _(c):
    assert c.data("get_available_modules", ["nosuch"]) == fault(10)


# ---- siblings, at paths of their own; everything else is as in v4_1

OLD, ALL = ("v2", "v2_1", "v3", "v3_1", "v4"), ("v2", "v2_1", "v3", "v3_1", "v4", "v4_1")


@quirk("v2 to v4", "one session serves all versions")
def _(c):
    for version in OLD:
        assert c.at(version)("get_user_id") == "1"


@quirk("v2 to v4", "login: 5 values in v2 and v2_1, 9 in v3, 13 from v3_1 on")
def _(c):
    full = list(c.data("login", [PLAIN])["name_value_list"])
    middle = [k for k in full if k not in ("user_number_separator", "user_decimal_separator",
                                           "mobile_max_list_entries", "mobile_max_subpanel_entries")]
    for version, want in zip(ALL, (full[:4] + full[-1:], full[:4] + full[-1:], middle, full, full, full)):
        assert list(c.at(version).data("login", [PLAIN])["name_value_list"]) == want, version


@quirk("v2 to v4", "get_server_info: suitecrm_version from v3 on")
def _(c):
    for version in ALL:
        info = c.at(version).data("get_server_info", [])
        assert ("suitecrm_version" in info) is (version not in ("v2", "v2_1")), version


@quirk("v2 to v4", "set_entry: only the id before v3_1")
def _(c):
    for version in ALL:
        reply = c.at(version)("set_entry", "Accounts", {"name": "old"})
        assert list(reply) == (["id"] if version in ("v2", "v2_1", "v3") else ["id", "entry_list"]), version


@quirk("v2 to v4", "get_entry_list: total_count from v3_1 on")
def _(c):
    for version in ALL:
        reply = c.at(version)("get_entry_list", "Accounts", "", "", 0, ["id"], [], 1)
        assert ("total_count" in reply) is (version in ("v3_1", "v4", "v4_1")), version


@quirk("v2 to v4", "links: link_list in lists of v2_1 and from v3_1 on, in get_entries from v4 on, in get_entry never")
def _(c):
    account, contact = c.create("Accounts", name="links of old"), c.create("Contacts", last_name="O")
    c("set_relationship", "Accounts", account, "contacts", [contact])
    link = [{"name": "contacts", "value": ["id"]}]
    bare = [[{"name": "contacts", "records": [pair("id", contact)]}]]
    full = [{"link_list": [{"name": "contacts", "records": [{"link_value": pair("id", contact)}]}]}]
    for version in ALL:
        old = c.at(version)
        lists = old("get_entry_list", "Accounts", "accounts.name = 'links of old'", "", 0, ["id"], link, 5)
        assert lists["relationship_list"] == (bare if version in ("v2", "v3") else full), version
        entries = old("get_entries", "Accounts", [account], ["id"], link)
        assert entries["relationship_list"] == (full if version in ("v4", "v4_1") else bare), version
        assert old("get_entry", "Accounts", account, ["id"], link)["relationship_list"] == bare


@quirk("v2 to v4", "get_entry_list: deleted 1 is the deleted rows only before v4; any other text is all rows")
def _(c):
    one, two = c.create("Accounts", name="dead of old"), c.create("Accounts", name="dead of old")
    c("set_entry", "Accounts", {"id": one, "deleted": 1})
    for version in ALL:
        def ids(deleted, old=c.at(version)):
            reply = old("get_entry_list", "Accounts", "accounts.name = 'dead of old'", "", 0, ["id"], [], 5, deleted)
            return {e["id"] for e in reply["entry_list"]}
        assert ids(0) == {two} and ids("x") == {one, two}
        for deleted in (1, "1", True):
            assert ids(deleted) == ({one, two} if version in ("v4", "v4_1") else {one}), version


@quirk("v2 to v4", "get_available_modules: names before v3_1, favorite_enabled from v4 on; v2 knows no filter")
def _(c):
    for version in ALL:
        brief, full = (c.at(version)("get_available_modules", f)["modules"] for f in ("default", "all"))
        if version in ("v2", "v2_1", "v3"):
            assert "Users" in full and ("Users" in brief) is (version != "v3")
        else:
            assert ("favorite_enabled" in brief[0]) is (version != "v3_1") and "acls" in brief[0]


@quirk("v2 to v4", "get_module_fields: more of a field with every version; no link_fields in v3")
def _(c):
    names = {"v2": ["name", "type", "label", "required", "options"]}
    names["v2_1"] = names["v2"]
    names["v3"] = ["name", "type", "group", "id_name", "label", "required", "options", "related_module"]
    names["v3_1"] = names["v3"] + ["calculated"]
    names["v4"] = names["v4_1"] = names["v3_1"] + ["len"]
    for version in ALL:
        reply = c.at(version)("get_module_fields", "Accounts")
        assert list(reply["module_fields"]["name"]) == names[version], version
        assert ("table_name" in reply) is (version in ("v3_1", "v4", "v4_1"))
        assert (reply["link_fields"] == []) is (version == "v3")
        assert (reply["module_fields"]["deleted"]["options"] == []) is (version in ("v2", "v2_1", "v3"))


@quirk("v2 to v4", "methods that a version does not have yet answer -1")
def _(c):
    since = {"get_module_fields_md5": ALL[2:], "get_last_viewed": ALL[2:], "get_upcoming_activities": ALL[2:],
             "get_modified_relationships": ALL[5:]}
    for method, versions in since.items():
        for version in ALL:
            reply = c.at(version)(method, "Users", "Calls", "", "", 0, 0)
            there = not isinstance(reply, dict) or reply.get("number") != "-1"
            assert there is (version in versions), (method, version)


@quirk("v2 to v4", "arguments that a version does not have yet are ignored")
def _(c):
    account = c.create("Accounts", name="args of old")
    contacts = [c.create("Contacts", last_name=x) for x in "ba"]
    c("set_relationship", "Accounts", account, "contacts", contacts)

    def seen(version):
        reply = c.at(version)("get_relationships", "Accounts", account, "contacts", "", ["last_name"], [], 0,
                              "last_name", 0, 1)
        return [e["name_value_list"]["last_name"]["value"] for e in reply["entry_list"]]
    assert sorted(seen("v2")) == seen("v3") == seen("v4") == ["a", "b"] and seen("v4_1") == ["a"]
    assert "entry_list" in c.at("v3")("get_entry_list", "Accounts", "", "", 0, ["id"], [], 1, 0, True)
    found = c.at("v2")("search_by_module", "args of", ["Accounts"], 0, 5, "", ["id"])["entry_list"][0]["records"][0]
    assert "name" in found
