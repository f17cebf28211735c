# SPDX-License-Identifier: Apache-2.0
"""The template dialect with the two shipped examples, whichever side owns the records, and what a
wrong template is told."""
import base64
import itertools
import json
import os
import re
import xml.etree.ElementTree as ET

import jsonschema
import pytest

from crm import ROOT, Crm, call
from harness import Sqlite, Workdir

SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
ERP = {"Authorization": "Basic " + base64.b64encode(b"erp:pass:word").decode(), "Content-Type": "text/xml"}
DESK = {"X-Desk-Key": "desk-key"}
epochs = itertools.count(1)
EXAMPLES = os.path.join(ROOT, "docs/examples")


def mounted(crm, mounts):
    crm.env.update(ERP_PASSWORD="pass:word", DESK_KEY="desk-key")
    table = crm._routes()
    table["mounts"] += [{"dialect": "template", "path": path, "options": {"file": file}} for path, file in mounts]
    crm.work.file("routes.json", json.dumps(table))
    return crm


@pytest.fixture(scope="module")
def shared(postgres):
    with Workdir() as work, Sqlite(work) as legacy:
        crm = mounted(Crm(work, "sqlite", legacy, postgres, "templates"),
                      [("/erp", f"{EXAMPLES}/customer-soap.json"), ("/desk", f"{EXAMPLES}/sales-legacy.json")])
        with crm.running():
            yield crm


@pytest.fixture(params=["legacy", "new"])
def crm(request, shared):
    if request.param == "new":
        shared.stage("account", "new")
    shared.own(request.param, next(epochs))
    return shared


def base(crm):
    return f"http://127.0.0.1:{crm.ports['facade']}"


def soap(crm, inner, headers=None, auth=ERP):
    body = f"""<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:c="urn:c">
      <s:Body>{inner}</s:Body></s:Envelope>""".encode()
    return call("POST", base(crm) + "/erp/CustomerService.asmx", body, {**auth, **(headers or {})})


def desk(crm, method, path, body=None, headers=DESK):
    return call(method, base(crm) + "/desk" + path, body, headers)


def made(crm, path, **values):
    answer = crm.api("POST", path, values)
    assert answer.status == 201, answer.body
    return answer.json()["id"]


def test_soap_get(crm):
    key = made(crm, "/accounts", name="Müller & Söhne <\"'>", account_type="Partner", industry="Media")
    for last in ("Weber", "Y&Z"):
        person = made(crm, "/contacts", last_name=last)
        assert crm.api("PUT", f"/accounts/{key}/contacts/{person}").status == 204
    got = soap(crm, f"<c:GetCustomer><c:CustomerId> {key} </c:CustomerId></c:GetCustomer>")
    assert got.status == 200 and got.headers["Content-Type"] == "text/xml; charset=utf-8"
    ns = "{urn:example:customer}"
    customer = ET.fromstring(got.body).find(f"{SOAP}Body/{ns}GetCustomerResponse/{ns}Customer")
    assert customer.get("id") == key and customer.findtext(f"{ns}Name") == "Müller & Söhne <\"'>"
    assert customer.findtext(f"{ns}Kind") == "P" and customer.findtext(f"{ns}Industry") == "Media"
    assert re.fullmatch(r"\d\d\.\d\d\.20\d\d", customer.findtext(f"{ns}Since"))
    assert customer.findtext(f"{ns}Active") == "Y"
    people = customer.findall(f"{ns}Contacts/{ns}Contact")
    assert {p.findtext(f"{ns}Last") for p in people} == {"Weber", "Y&Z"} and people[1].get("no") == "2"
    assert people[0].findtext(f"{ns}Company") == "Müller & Söhne <\"'>"

    plain = made(crm, "/accounts", name="Plain")
    customer = ET.fromstring(soap(crm, f"<GetCustomer><CustomerId>{plain}</CustomerId></GetCustomer>").body)
    assert customer.find(f".//{ns}Industry") is None and customer.findtext(f".//{ns}Kind") == "X"
    none = soap(crm, "<GetCustomer><CustomerId>&lt;none&gt;</CustomerId></GetCustomer>")
    assert none.status == 500 and ET.fromstring(none.body).findtext(".//faultstring") == "No customer <none>"


def test_soap_save_and_find(crm):
    key = made(crm, "/accounts", name="Before", account_type="Customer", industry="Media")
    action = {"SOAPAction": '"urn:example:customer/SaveCustomer"'}
    save = f'<SaveCustomer><Customer id="{key}"><Name>Find%_me</Name><Kind>C</Kind><Industry/></Customer></SaveCustomer>'
    done = soap(crm, save, action)
    assert done.status == 200 and b"<Result>OK</Result>" in done.body
    got = crm.api("GET", f"/accounts/{key}?fields=name,account_type,industry").json()
    assert got == {"name": "Find%_me", "account_type": "Customer", "industry": None}
    part = f'<SaveCustomer><Customer id="{key}"><Kind>P</Kind></Customer></SaveCustomer>'
    assert soap(crm, part, action).status == 200
    assert crm.api("GET", f"/accounts/{key}?fields=name,account_type").json() == {
        "name": "Find%_me", "account_type": "Partner"}
    bad = soap(crm, save.replace("<Kind>C</Kind>", "<Kind>?</Kind>"), action)
    assert bad.status == 500 and "kind: not one of the codes" in ET.fromstring(bad.body).findtext(".//faultstring")
    assert soap(crm, save, {"SOAPAction": '"other"'}).status == 500
    found = soap(crm, "<FindCustomers><Text>d%_m</Text><Max>5</Max></FindCustomers>")
    assert ET.fromstring(found.body).find(".//{urn:example:customer}Customer").text == "Find%_me"
    nothing = soap(crm, "<FindCustomers><Text>nobody at all</Text></FindCustomers>")
    assert ET.fromstring(nothing.body).find(".//{urn:example:customer}FindCustomersResponse").get("total") == "0"
    assert soap(crm, "<FindCustomers><Max>x</Max></FindCustomers>").status == 500


def test_soap_hostile(crm):
    bomb = b'<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;">]><a>&y;</a>'
    outside = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><Envelope><Body><GetCustomer><CustomerId>&x;' \
              b"</CustomerId></GetCustomer></Body></Envelope>"
    for body in (bomb, outside, b"<a>", b"", b"\xff\xfe", b"<a>" * 1000, b"<a b='1' b='2'/>", b"<a>&nope;</a>",
                 b"<a>" + b"<b/>" * 20000 + b"</a>", b"{}"):
        answer = call("POST", base(crm) + "/erp/CustomerService.asmx", body, ERP)
        assert answer.status == 500 and b"<soap:Fault>" in answer.body and b"root:" not in answer.body, body[:60]
    for auth in ({}, {"Authorization": "Basic !!!!"}, {"Authorization": "Basic " + base64.b64encode(b"erp:no").decode()},
                 {"Authorization": "Basic " + base64.b64encode(b"other:pass:word").decode()},
                 {"Authorization": "Bearer pass:word"}):
        denied = soap(crm, "<FindCustomers/>", auth=auth)
        assert denied.status == 500 and denied.headers["WWW-Authenticate"].startswith("Basic")


def test_csv_and_forms(crm):
    form = {**DESK, "Content-Type": "application/x-www-form-urlencoded"}
    answer = desk(crm, "POST", "/newdeal.php", b"title=+Big+%22deal%22;+one+&amount=1234567.5&st=5&closes=29.02.2028", form)
    assert answer.status == 200 and answer.body.startswith(b"OK "), answer.body
    key = answer.body.decode().split()[1]
    stored = crm.api("GET", f"/opportunities/{key}").json()
    assert (stored["name"], float(stored["amount"]), stored["sales_stage"], stored["date_closed"], stored["lead_source"]) \
        == ('Big "deal"; one', 1234567.5, "Negotiation/Review", "2028-02-29", "Other")
    listing = desk(crm, "GET", "/deals.csv?from=29.02.2028&st=5")
    assert listing.headers["Content-Type"] == "text/csv; charset=utf-8" and "deals.csv" in listing.headers["Content-Disposition"]
    lines = listing.body.decode().split("\r\n")
    assert lines[0] == "ID;NAME;AMOUNT;STAGE;CLOSES;CUSTOMER"
    assert f'{key};"Big ""deal""; one";1.234.567,50;5;29.02.2028;' in lines
    assert desk(crm, "GET", "/deals.csv?from=01.01.2099&page=3&n=10").body.count(b"\r\n") == 1
    for bad, said in ((b"amount=1&closes=01.01.2030", "title is missing"), (b"title=x&closes=2030-01-01", "closes: not a date"),
                      (b"title=x&closes=31.02.2030", "date_closed"), (b"title=x&closes=01.01.2030&amount=lots", "amount"),
                      (b"title=x&closes=01.01.2030&st=77", "stage: not one"), (b"title=" + b"x" * 51 + b"&closes=01.01.2030", "longer")):
        answer = desk(crm, "POST", "/newdeal.php", bad, form)
        assert answer.status == 200 and answer.body.startswith(b"ERR 10 ") and said in answer.body.decode(), answer.body
    assert int(desk(crm, "GET", "/deals/count?in=Negotiation/Review,Closed%20Won").body) >= 1
    assert int(desk(crm, "GET", "/deals/count").body) >= 1
    assert desk(crm, "DELETE", f"/deals/{key}.txt").body.decode() == f"GONE {key}\n"
    assert desk(crm, "DELETE", f"/deals/{key}.txt").body == b"ERR 4\n"
    assert desk(crm, "DELETE", f"/deals/{key}").status == 404


def test_json_rpc(crm):
    def rpc(do, *args):
        return desk(crm, "POST", "/rpc", json.dumps({"do": do, "args": args}).encode()).json()
    person = made(crm, "/contacts", last_name='O"Neil\\', do_not_call=True, birthdate="1970-12-31", email1="o@example.com")
    account = made(crm, "/accounts", name="Employer")
    assert rpc("person", person) == {"rc": 0, "person": {
        "id": person, "name": {"first": None, "last": 'O"Neil\\'}, "nocall": 1, "born": "19701231", "mail": "o@example.com"},
        "by": "admin"}
    assert rpc("person", "no\n\"body") == {"rc": 4, "id": "no\n\"body"}
    assert rpc("people", account) == {"rc": 0, "n": 0, "people": []}
    assert rpc("employ", account, person) == {"rc": 0}
    other = made(crm, "/contacts", last_name="Abel")
    assert rpc("employ", account, other) == {"rc": 0}
    assert rpc("people", account) == {"rc": 0, "n": 2, "people": [[other, "Abel"], [person, 'O"Neil\\']]}
    for body in (b"{", b"", b"[" * 10000, b'{"do": "person"}', b'{"do": "person", "args": [{}]}', b'{"do": "person", "args": [null]}',
                 b'{"do": "person", "do": "people"}', b'{"do": "people", "args": ["\\ud800"]}'):
        answer = desk(crm, "POST", "/rpc", body)
        assert answer.status == 400 and answer.body.startswith(b"ERR 1 "), (body[:40], answer.body)
    assert desk(crm, "POST", "/rpc", b'{"do": "format c:"}').body == b"ERR 2\n"
    assert desk(crm, "POST", "/rpc", b"{}", {"X-Desk-Key": "x"}).status == 403


def check(crm, work, change):
    """What `ficus check` says of the sales example after a change to it."""
    with open(f"{EXAMPLES}/sales-legacy.json", encoding="utf-8") as f:
        template = json.load(f)
    change(template)
    work.file("changed.json", json.dumps(template, indent=1))
    mounted(crm, [("/t", "changed.json")])
    return crm.ficus("check")


def test_the_examples_follow_the_schema():
    with open(os.path.join(ROOT, "facade/dialect/template.schema.json"), encoding="utf-8") as f:
        validator = jsonschema.Draft202012Validator(json.load(f))
    for name in os.listdir(EXAMPLES):
        with open(os.path.join(EXAMPLES, name), encoding="utf-8") as f:
            assert not [e.message for e in validator.iter_errors(json.load(f))]


def test_a_wrong_template_is_told_where(work, sqlite, postgres, unique):
    crm = Crm(work, "sqlite", sqlite, postgres, unique)
    assert check(crm, work, lambda t: None).returncode == 0

    def told(change, pointer, text):
        done = check(crm, work, change)
        assert done.returncode == 3, done.stdout
        assert re.search(rf"changed.json:\d+: {re.escape(pointer)}", done.stderr) and text in done.stderr, done.stderr

    def ends(number):
        return lambda t: t["endpoints"][number]
    rpc = "/endpoints/2"
    told(lambda t: t.update(endpoint=[]), "/endpoint", "did you mean")
    told(lambda t: t["auth"]["principals"][0].update(secret="${env:NOT_SET}"), "/auth/principals/0/secret", "not set")
    told(lambda t: ends(2)(t)["operation"].update(entity="nobody"), f"{rpc}/operation/entity", "no entity map")
    told(lambda t: ends(2)(t)["operation"].update(fields=["nothing"]), f"{rpc}/operation/fields", "no field")
    told(lambda t: ends(2)(t)["operation"].update(key="who"), f"{rpc}/operation/key", "nothing is taken")
    told(lambda t: ends(2)(t)["operation"].pop("key"), f"{rpc}/operation", "needs a key")
    told(lambda t: ends(2)(t)["take"]["id"].update(at="args"), f"{rpc}/take/id", "starts with /")
    told(lambda t: ends(2)(t)["take"]["id"].update({"from": "cookie"}), f"{rpc}/take/id/from", "one of path")
    told(lambda t: ends(2)(t)["answers"].pop("ok"), f"{rpc}/answers", "ok")
    told(lambda t: ends(5)(t)["take"]["id"].update(at="key"), "/endpoints/5/take/id", "no {key}")
    body = f"{rpc}/answers/ok/body"
    for text, said in (("{{nothing}}", "have no nothing"), ("{{id", "without"), ("{{if id}}x", "end"), ("{{end}}", "beginning"),
                       ("{{id|shout}}", "not shout"), ("{{id|cut}}", "cut wants"), ("{{birthdate|date:\"%q\"}}", "form"),
                       ("{{id|code:\"none\"}}", "no codes"), ("{{request.no}}", "nothing is taken"), ("{{up.id}}", "no"),
                       ("{{each items}}{{end}}", "no list"), ("{{@nothing}}", "@nothing"),
                       ('{"id": "{{id}}"}', "JSON"), ('{"id": {{id}}', "JSON"), ("{{if id}}1{{else}}{{end}}", "JSON"),
                       ("{{if id}}" * 9 + "{{end}}" * 9, "levels")):
        told(lambda t, text=text: ends(2)(t)["answers"]["ok"].update(body=text), body, said)
    told(lambda t: ends(0)(t)["answers"]["ok"].update(type="text/xml", body="<a>{{each items}}<b>{{end}}</a>"),
         "/endpoints/0/answers/ok/body", "XML")
    told(lambda t: ends(0)(t)["answers"]["ok"].update(headers={"Content-Length": "1"}),
         "/endpoints/0/answers/ok/headers/Content-Length", "not a header")
    told(lambda t: ends(1)(t)["operation"]["values"].update(account_name="title"), "/endpoints/1/operation/values/account_name",
         "cannot be written")
    told(lambda t: ends(1)(t)["operation"]["values"].update(date_closed={"const": "soon"}),
         "/endpoints/1/operation/values/date_closed", "cannot hold")
    started = crm.ficus("serve")
    assert started.returncode == 3 and "changed.json" in started.stderr
