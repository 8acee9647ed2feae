"""Signed documents, after docs/FORMAT.md: JSON, types of members, signatures, and the open statement. The numbers are those of the
requirements there."""
import base64, functools, hashlib, json
from cryptography.hazmat.primitives.asymmetric import ed25519

def need(condition, why):
    if not condition: raise ValueError(why)

def b64(text):  # one text for each sequence of bytes
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    need(encode(data) == text, "R-8: not base64url")
    return data

def encode(data): return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
def sha256(data): return hashlib.sha256(data).digest()
def first_head(header): return encode(sha256(b"sealed-visit chain v1\0" + b64(header["hash"])))
def name(text): return encode(sha256(text.encode()))  # how documents name one another
def thumbprint(x): return name('{"crv":"Ed25519","kty":"OKP","x":"%s"}' % x)  # RFC 7638

# --- JSON and the types of members
def once(pairs):
    need(len({key for key, _ in pairs}) == len(pairs), "R-2: a member twice")
    return dict(pairs)

def read_json(data, any_numbers=False):
    def refuse(text): raise ValueError(f"R-1: {text} is not JSON")
    def integer(text): return int(text) if text.isdigit() and int(text) < 2**53 else float(text)  # floats fit no type
    def check(value, level):
        need(level < 128 and (any_numbers or not isinstance(value, float)), "R-3, R-4: numbers or nesting")
        if isinstance(value, (list, dict)):
            for item in value.values() if isinstance(value, dict) else value:
                check(item, level + isinstance(item, (list, dict)))
    value = json.loads(data.decode(), object_pairs_hook=once, parse_int=integer, parse_constant=refuse)
    json.dumps(value, ensure_ascii=False).encode()  # fails for unpaired surrogates
    check(value, 1)
    return value

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
ORDER_8 = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")

@functools.cache
def is_point(data):  # on the curve, and not of small order
    y = (int.from_bytes(data, "little") & (2**255 - 1)) % P
    return y not in (0, 1, P - 1, ORDER_8, P - ORDER_8) and pow((y * y - 1) * pow(D * y * y + 1, -1, P), (P - 1) // 2, P) == 1

ROLE = "clinician|patient|guest|representative|interpreter|recorder|server"
RECIPIENT = "responsible_clinician|archive|supervisor|quality_reviewer|ai_processor|legal|researcher"
PART = "recording:id part:u32 open:hash "
END = PART + "tracks:[summary] reason:stopped|paused|withdrawn|removed|failed|unfinished withdrawal?:text "
OBJECTS = {  # `x?` may be absent or null, `x*` absent
    "jwk": "kty:OKP crv:Ed25519 x:point", "cnf": "jwk:jwk", "ref": f"fingerprint:hash role:{RECIPIENT}",
    "recipient": f"fingerprint:hash suite:x-wing|x25519 public_key:bytes role:{RECIPIENT}",
    "consent_text": "layer:information|recording language:text version:text hash:hash", "tick": "what:text at_ms:int",
    "terms": "retention_days:u32 on_withdrawal:keep|delete|ask processor_retention_days?:u32 part2*:bool authorization_expires_ms?:int",
    "answer": "person:text on_behalf_of:behalf information:bool recording:bool", "behalf": "kind:myself|represented",
    "represented": "whom?:id capacity:text basis:text", "open_track": "track:id header:bytes", "previous": "part:u32 heads:[pair]",
    "summary": "track:id header_hash:hash segments:int length_bytes:int head:hash index_hash:hash media_end_us:int gaps*:[gap]",
    "gap": "from_us:int to_us:int reason:text", "wrapped": "recipient:hash suite:x-wing|x25519 enc:bytes ciphertext:bytes",
    "stored": "track:id length_bytes:int segments:int head:hash envelope:hash", "content": "kind:mixed|participant|events",
    "participant": "participant:id", "part": "part:u32 open:text manifest?:text closing?:text receipt?:text tracks:[listed]",
    "listed": "track:id share*:bytes envelopes*:[text]", "recording": "recording:id parts:[part]",
    "header": "visit:id recording:id part:u32 track:id content:content media_type:text suite:cobblestone-256 recipients:[hash]"
              " share_required:bool recording_key:jwk",
    "sv-clinic+jwt": "number:int not_before_ms:int not_after_ms:int name:text contact:text authorities:[jwk] vault:jwk"
                     " recipients:[recipient] retired*:[hash]",
    "sv-pass+jwt": f"visit:id sub:id role:{ROLE} cnf:cnf name:hash iat:int exp:int",
    "sv-request+jwt": "round:id visit:id group_id:bytes recorder:id recipients:[ref] texts:[consent_text] terms:terms again_after?:id"
                      " purpose:medical_record|supervision|quality_review|ai_note|dispute|research|other checklist*:[tick] at_ms:int pass:text",
    "sv-statement+jwt": "visit:id group_id:bytes round:id request:hash seq:int kind:grant|refusal|withdrawal answers*:[answer]"
                        " texts*:[hash] language*:text spoken*:text interpreted_for*:[id] place*:text wish?:keep|delete at_ms:int pass:text",
    "sv-place+jwt": "visit:id group_id:bytes round:id participant:id place:text at_ms:int pass:text",
    "sv-open+jwt": "visit:id recording:id part:u32 group_id:bytes epoch:int recording_key:jwk tracks:[open_track] recipients:[ref]"
                   " request:text grants:[text] roster:[text] clinic:hash previous?:previous at_ms:int pass:text",
    "sv-envelope+jwt": "recording:id part:u32 track:id header_hash:hash share_hash?:hash keys:[wrapped]",
    "sv-checkpoint+jwt": "track:id index:int end:int head:hash media_end_us:int at_ms:int",
    "sv-manifest+jwt": END + "started_ms:int ended_ms:int places*:[text] marks*:int",
    "sv-closing+jwt": END + "stopped_ms:int closed_ms:int",
    "sv-receipt+jwt": PART + "tracks:[stored] ended_by:hash finished:bool audit_head?:text at_ms:int",
}
ATOMS = {
    "int": lambda v: type(v) is int, "u32": lambda v: type(v) is int and v < 2**32, "bool": lambda v: type(v) is bool,
    "text": lambda v: type(v) is str, "bytes": lambda v: b64(v) is not None, "id": lambda v: len(b64(v)) == 16,
    "hash": lambda v: len(b64(v)) == 32, "point": lambda v: len(b64(v)) == 32 and is_point(b64(v)),
    "pair": lambda v: type(v) is list and len(v) == 2 and ATOMS["id"](v[0]) and ATOMS["hash"](v[1]),
}

def fits(value, kind):
    if kind[0] == "[": return type(value) is list and all(fits(item, kind[1:-1]) for item in value)
    if kind in ATOMS: return ATOMS[kind](value)
    if kind not in OBJECTS: return type(value) is str and value in kind.split("|")
    def has(member):
        title, of = member.split(":")
        bare = title.rstrip("?*")
        if bare not in value: return bare != title
        return value[bare] is None and title[-1] == "?" or fits(value[bare], of)
    return type(value) is dict and all(map(has, OBJECTS[kind].split())) and (
        kind not in ("behalf", "content") or value["kind"] not in ("represented", "participant") or fits(value, value["kind"]))

# --- Signed documents
def jws(text, typ, x=None):  # its claims; without a key they are only looked into
    need(len(text) <= 1 << 20 and text.count(".") == 2, "R-9: not a compact JWS, or too long")
    header, claims, signature = map(b64, text.split("."))
    header, claims = read_json(header, any_numbers=True), read_json(claims)
    need(header.keys() == {"alg", "typ", "kid"} and (header["alg"], header["typ"]) == ("EdDSA", typ), f"R-10: not an {typ}")
    need(type(header["kid"]) is str and len(signature) == 64, "R-10: not an EdDSA signature with a kid")
    need(claims["v"] == 1 and type(claims["v"]) is int, "R-14: of another version")
    need(fits(claims, typ), f"R-5, R-6: not as an {typ} must be")
    if x:
        need(header["kid"] == thumbprint(x), "R-11: signed by another key")
        need(is_point(b64(x)) and is_point(signature[:32]), "R-13: a point of small order")
        ed25519.Ed25519PublicKey.from_public_bytes(b64(x)).verify(signature, text.rsplit(".", 1)[0].encode())
    return claims

def read_pass(text, clinic, visit):
    jws(text, "sv-pass+jwt")
    kid = read_json(b64(text.split(".")[0]))["kid"]
    keys = {thumbprint(key["x"]): key["x"] for key in clinic["authorities"]}
    need(kid in keys, "R-16: not an authority")
    claims = jws(text, "sv-pass+jwt", keys[kid])
    need(claims["visit"] == visit, "R-17: a pass of another visit")
    return claims

def by_pass(text, typ, clinic, group):  # R-15; `group` has the visit and group that it must be of
    author = read_pass(jws(text, typ)["pass"], clinic, group["visit"])
    claims = jws(text, typ, author["cnf"]["jwk"]["x"])
    need((claims["visit"], claims["group_id"]) == (group["visit"], group["group_id"]), "R-24, R-29: of another visit or group")
    return claims, author

def read_statement(text, clinic, group):
    need(len(text) <= 16384, "R-9: a statement is too long")
    said, author = by_pass(text, "sv-statement+jwt", clinic, group)
    need(said["seq"] <= 2**32 and author["role"] != "recorder", "R-30")
    named = said.get("interpreted_for", [])
    need((not named or author["role"] == "interpreter") and author["sub"] not in named, "R-31")
    return said, author

def ascends(hashes): return bool(hashes) and all(b64(a) < b64(b) for a, b in zip(hashes, hashes[1:]))

def read_open(text, clinic):
    opened = jws(text, "sv-open+jwt")
    opened, recorder = by_pass(text, "sv-open+jwt", clinic, opened)
    need(recorder["role"] == "recorder", "R-22")
    asked, host = by_pass(opened["request"], "sv-request+jwt", clinic, opened)
    need(host["role"] == "clinician", "R-23")
    need(ascends([r["fingerprint"] for r in asked["recipients"]]), "R-25")
    listed = {r["fingerprint"]: r["role"] for r in reversed(clinic["recipients"]) if r["fingerprint"] not in clinic.get("retired", [])}
    need(all(listed.get(r["fingerprint"]) == r["role"] for r in asked["recipients"]), "R-26")
    plain = [[(r["fingerprint"], r["role"]) for r in document["recipients"]] for document in (asked, opened)]
    need(plain[0] == plain[1], "R-27")
    shown = {(t["language"], t["layer"]): t["hash"] for t in reversed(asked["texts"])}
    layers = ("information", "recording")
    need(shown and all((language, layer) in shown for language, _ in shown for layer in layers), "R-28")
    grants, request = {}, name(opened["request"])
    for grant in opened["grants"]:
        said, author = read_statement(grant, clinic, opened)
        need((said["round"], said["request"]) == (asked["round"], request), "R-32: of another request")
        need(said["kind"] == "grant", "R-33: not a grant")
        need(said.get("answers") and all(a["information"] and a["recording"] for a in said["answers"]), "R-34: not a grant")
        need(all(shown.get((said.get("language", ""), layer)) in said.get("texts", []) for layer in layers), "R-35: other texts")
        need(author["sub"] not in grants or said["seq"] > grants[author["sub"]][0]["seq"], "R-36: not a later grant")
        grants[author["sub"]] = said, author
    roster = [read_pass(member, clinic, opened["visit"]) for member in opened["roster"]]
    need(len({m["sub"] for m in roster}) == len(roster), "R-37")
    identity = [(m["sub"], m["cnf"]["jwk"]["x"]) for m in roster if m["role"] == "recorder"]
    need(identity == [(recorder["sub"], recorder["cnf"]["jwk"]["x"])] and recorder["sub"] == asked["recorder"], "R-38")
    interpreted = {sub for said, _ in grants.values() for sub in said.get("interpreted_for", [])}
    for member in (m for m in roster if m["role"] != "recorder"):
        said, author = grants.get(member["sub"], (None, None))
        need(said and (author["role"], author["cnf"]["jwk"]["x"]) == (member["role"], member["cnf"]["jwk"]["x"]), "R-39: a member without a grant")
        need(not said.get("spoken") or member["sub"] in interpreted, "R-40")
    need(1 <= len(opened["tracks"]) <= 64 and len({t["track"] for t in opened["tracks"]}) == len(opened["tracks"]), "R-41")
    headers = {t["track"]: read_header(t, opened) for t in opened["tracks"]}
    return opened | {"round": asked["round"], "request_hash": request, "granted_by": set(grants)}, headers

def read_header(listed, opened):
    data = b64(listed["header"])
    need(len(data) <= 65536, "R-9: a header is too long")
    header = read_json(data)
    need(header["v"] == 1 and type(header["v"]) is int and fits(header, "header"), "R-42")
    need(header["track"] == listed["track"] and all(header[k] == opened[k] for k in ("visit", "recording", "part")), "R-42")
    need(header["recording_key"]["x"] == opened["recording_key"]["x"] and ascends(header["recipients"]), "R-42, R-46")
    need(header["recipients"] == [r["fingerprint"] for r in opened["recipients"]], "R-42")
    return header | {"bytes": data, "hash": encode(sha256(data))}

# --- A folder
def read_clinics(folder, root):
    clinics = {}
    for path in sorted(folder.glob("clinic*.jws")):
        text = path.read_text().strip()
        clinic = clinics[name(text)] = jws(text, "sv-clinic+jwt", root)
        for r in clinic["recipients"]:
            said = b"sealed-visit recipient v1\0" + r["suite"].encode() + b"\0" + b64(r["public_key"])
            need(b64(r["fingerprint"]) == sha256(said), "R-18: a fingerprint differs")
    need(clinics, "there is no clinic document")
    return clinics

def read_listing(folder):
    file = read_json((folder / "recording.json").read_bytes().strip(), any_numbers=True)
    need(fits(file, "recording"), "R-5: recording.json is not as it must be")
    return file
