#!/usr/bin/env python3
"""Verifies and opens a recording, after docs/FORMAT.md, on Python's `cryptography` >= 50 alone. Prints a line of JSON;
exits 0 when all verified, 3 when what is here is genuine but not all of it is, 1 when anything is refused.
Usage: open_recording.py FOLDER ROOT.PUB KEY.JWE PASSPHRASE-FILE OUT-FOLDER (which must exist)"""
import base64, hashlib, json, pathlib, struct, sys
from cryptography.cobblestone import Cobblestone256Decryptor
from cryptography.hazmat.primitives import hpke, keywrap
from cryptography.hazmat.primitives.asymmetric import ed25519, mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.kdf import hkdf, pbkdf2

def b64(text): return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
def encode(data): return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
def sha256(data): return hashlib.sha256(data).digest()
def name(text): return encode(sha256(text.encode()))  # how documents name one another
def need(condition, message):
    if not condition: raise ValueError(message)

def jws(text, typ, jwk=None):  # the claims of a signed document; without a key they are only looked into
    signed, signature = text.rsplit(".", 1)
    header, claims = (json.loads(b64(part)) for part in signed.split("."))
    need((header["alg"], header["typ"], claims["v"]) == ("EdDSA", typ, 1), f"not an {typ} of version 1")
    if jwk: ed25519.Ed25519PublicKey.from_public_bytes(b64(jwk["x"])).verify(b64(signature), signed.encode())
    return claims

def read_pass(text, clinic, visit):
    kid = json.loads(b64(text.split(".")[0]))["kid"]
    thumbprints = {name('{"crv":"Ed25519","kty":"OKP","x":"%s"}' % k["x"]): k for k in clinic["authorities"]}  # RFC 7638
    claims = jws(text, "sv-pass+jwt", thumbprints[kid])
    need(claims["visit"] == visit, "a pass of another visit")
    return claims

def by_pass(text, typ, clinic, visit):  # a document signed with the key of the pass inside it
    author = read_pass(jws(text, typ)["pass"], clinic, visit)
    return jws(text, typ, author["cnf"]["jwk"]), author

def read_open(text, clinic):
    visit = jws(text, "sv-open+jwt")["visit"]
    opened, recorder = by_pass(text, "sv-open+jwt", clinic, visit)
    asked, host = by_pass(opened["request"], "sv-request+jwt", clinic, visit)
    need((recorder["role"], host["role"], asked["recorder"]) == ("recorder", "clinician", recorder["sub"]), "roles")
    listed = {r["fingerprint"]: r["role"] for r in clinic["recipients"] if r["fingerprint"] not in clinic["retired"]}
    need(all(asked[k] == opened[k] for k in ("recipients", "visit", "group_id")), "not what was granted")
    need(all(listed.get(r["fingerprint"]) == r["role"] for r in asked["recipients"]), "recipients not listed")
    grants, interpreted, request = {}, [], (asked["round"], name(opened["request"]), asked["group_id"])
    for grant in opened["grants"]:
        said, author = by_pass(grant, "sv-statement+jwt", clinic, visit)
        shown = {t["layer"]: t["hash"] for t in asked["texts"] if t["language"] == said["language"]}
        agreed = said["answers"] and all(a["information"] and a["recording"] for a in said["answers"])
        need(said["kind"] == "grant" and agreed and author["sub"] not in grants, "not a grant")
        need(len(shown) == 2 and set(shown.values()) <= set(said["texts"]), "other texts were shown")
        need((said["round"], said["request"], said["group_id"]) == request, "another request was granted")
        grants[author["sub"]] = (author["role"], author["cnf"]), said.get("spoken", "")
        interpreted += said.get("interpreted_for", []) if author["role"] == "interpreter" else []
    roster = [read_pass(member, clinic, visit) for member in opened["roster"]]
    need([m["sub"] for m in roster if m["role"] == "recorder"] == [recorder["sub"]], "another recorder")
    people = [(m["sub"], (m["role"], m["cnf"]), *grants.get(m["sub"], (None, ""))) for m in roster if m["role"] != "recorder"]
    need(all(member == granted and (not foreign or sub in interpreted) for sub, member, granted, foreign in people), "a member without a grant")
    opened["round"], opened["granted_by"] = asked["round"], set(grants)
    return opened

def judge_end(end, opened, clinic, tracks):  # a manifest or closing record, as far as it needs no bytes
    need((end["recording"], end["part"]) == (opened["recording"], opened["part"]), "another part's end")
    need(sorted(t["track"] for t in end["tracks"]) == sorted(t["track"] for t in tracks), "every track is named once")
    need(end.get("started_ms", 0) <= end.get("ended_ms", 0), "it ends before it begins")
    need(all(g["from_us"] <= g["to_us"] <= t["media_end_us"] for t in end["tracks"] for g in t["gaps"]), "a gap outside")
    for text, typ in [(end.get("withdrawal"), "sv-statement+jwt"), *((p, "sv-place+jwt") for p in end.get("places", []))]:
        if not text: continue
        said, author = by_pass(text, typ, clinic, opened["visit"])
        need((said["group_id"], said["round"]) == (opened["group_id"], opened["round"]), "of another round")
        if typ == "sv-place+jwt": need(author["role"] == "clinician", "a place that the host did not confirm")
        else: need(said["kind"] == "withdrawal" and author["sub"] in opened["granted_by"], "not a withdrawal of this part's")

def read_key(path, passphrase):  # a compact JWE (RFC 7516, RFC 7518)
    header, wrapped, iv, text, tag = path.read_text().strip().split(".")
    said = json.loads(b64(header))
    need((said["alg"], said["enc"]) == ("PBES2-HS512+A256KW", "A256GCM"), "not a key file")
    salt = said["alg"].encode() + b"\0" + b64(said["p2s"])
    content_key = keywrap.aes_key_unwrap(pbkdf2.PBKDF2HMAC(SHA512(), 32, salt, said["p2c"]).derive(passphrase), b64(wrapped))
    content = json.loads(AESGCM(content_key).decrypt(b64(iv), b64(text) + b64(tag), header.encode()))
    seed = b64(content["private_key"])
    if content["suite"] == "x25519":
        key = x25519.X25519PrivateKey.from_private_bytes(seed)
        return "x25519", hpke.KEM.X25519, key, key.public_key().public_bytes_raw()
    seeds = hashlib.shake_256(seed).digest(96)  # X-Wing: the seed of ML-KEM-768, then the X25519 scalar
    pair = mlkem.MLKEM768PrivateKey.from_seed_bytes(seeds[:64]), x25519.X25519PrivateKey.from_private_bytes(seeds[64:])
    public = b"".join(half.public_key().public_bytes_raw() for half in pair)
    return "x-wing", hpke.KEM.MLKEM768_X25519, hpke.MLKEM768X25519PrivateKey(*pair), public

def track_key(envelope, header, header_hash, share, key):
    suite, kem, private, public = key
    claims = jws(envelope, "sv-envelope+jwt", header["recording_key"])
    need((b64(claims["header_hash"]), claims["track"]) == (header_hash, header["track"]), "another track's envelope")
    need([k["recipient"] for k in claims["keys"]] == header["recipients"], "other recipients")
    need(not header["share_required"] or b64(claims["share_hash"]) == sha256(share), "another share")
    mine = sha256(b"sealed-visit recipient v1\0" + suite.encode() + b"\0" + public)
    wrapped = next(k for k in claims["keys"] if b64(k["recipient"]) == mine)
    cipher, info = hpke.Suite(kem, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM), b"sealed-visit envelope v1\0"
    secret = cipher.decrypt(b64(wrapped["enc"]) + b64(wrapped["ciphertext"]), private, info + header_hash + mine)
    return hkdf.HKDF(SHA256(), 32, share, b"sealed-visit track key v1\0" + header_hash).derive(secret)

def open_track(data, header, header_bytes, key, out):  # the summary of the good part, as a manifest has it
    header_hash = sha256(header_bytes)
    start = b"SVTRACK\x01H" + struct.pack(">I", len(header_bytes)) + header_bytes
    need(data.startswith(start), "another header")
    head, good, index, media_end_us, ends = sha256(b"sealed-visit chain v1\0" + header_hash), len(start), 0, 0, b""
    while True:
        records, at = [], good
        while len(records) < 2 and len(data) >= at + 5 + (length := int.from_bytes(data[at + 1 : at + 5], "big")):
            need(data[at] == b"SC"[len(records)], "not the record that must follow")
            records.append(data[at + 5 : at + 5 + length])
            at += 5 + length
        if len(data) < good + 5 or len(records) < 2: break  # the end, or a torn record: good up to here
        end, sealed, before = good + 5 + len(records[0]), records[0], head
        head = sha256(b"sealed-visit chain v1\0" + head + sha256(sealed))
        said = jws(records[1].decode(), "sv-checkpoint+jwt", header["recording_key"])
        need((said["track"], said["index"], said["end"]) == (header["track"], index, end), "another checkpoint")
        need(b64(said["head"]) == head and said["media_end_us"] >= media_end_us, "the chain is broken")
        context = b"sealed-visit segment v1\0" + header_hash + struct.pack(">Q", index) + before
        decryptor = Cobblestone256Decryptor(key, context)
        out.write(decryptor.update(sealed) + decryptor.finalize())
        ends += struct.pack(">Q", end) + sha256(sealed)
        index, media_end_us, good = index + 1, said["media_end_us"], at
    return dict(track=header["track"], header_hash=encode(header_hash), segments=index, length_bytes=good,
                head=encode(head), index_hash=encode(sha256(ends)), media_end_us=media_end_us, unverified_bytes=len(data) - good)

def open_part(part, recording, clinic_text, clinic, key, folder, out_folder):  # its tracks, and whether all that was signed is here
    opened, tracks, end = read_open(part["open"], clinic), [], None
    need((opened["recording"], opened["part"]) == (recording, part["part"]), "listed as another recording or part")
    need(opened["clinic"] == name(clinic_text), "recorded under another clinic document")
    need(clinic["not_before_ms"] <= opened["at_ms"] < clinic["not_after_ms"], "the clinic document was not valid then")
    need(sorted(t["track"] for t in part["tracks"]) == sorted(t["track"] for t in opened["tracks"]), "other tracks are listed")
    for track, header_bytes in ((t["track"], b64(t["header"])) for t in opened["tracks"]):
        header, listed = json.loads(header_bytes), next(t for t in part["tracks"] if t["track"] == track)
        same = dict(v=1, suite="cobblestone-256", track=track) | {k: opened[k] for k in ("visit", "recording", "part")}
        need(header | same | {"recording_key": opened["recording_key"]} == header, "another header")
        need(header["recipients"] == [r["fingerprint"] for r in opened["recipients"]], "the header's recipients")
        share = b64(listed["share"]) if header["share_required"] else b""
        opening = track_key(listed["envelopes"][-1], header, sha256(header_bytes), share, key)
        path = out_folder / f"part-{opened['part']}-{header['content']['kind']}-{track}"
        with open(path, "xb") as out, open(folder / f"{track}.track", "rb") as sealed:
            tracks.append(open_track(sealed.read(), header, header_bytes, opening, out) | {"file": str(path)})
    if part.get("manifest"): end = jws(part["manifest"], "sv-manifest+jwt", opened["recording_key"])
    elif part.get("closing"): end = jws(part["closing"], "sv-closing+jwt", clinic["vault"])
    if not end: return opened, None, tracks, False
    judge_end(end, opened, clinic, tracks)
    if part.get("manifest") and part.get("closing"):  # closed by the vault before its device had more
        earlier, signed = jws(part["closing"], "sv-closing+jwt", clinic["vault"]), {t["track"]: t for t in end["tracks"]}
        judge_end(earlier, opened, clinic, tracks)
        need(all(t["segments"] <= signed[t["track"]]["segments"] for t in earlier["tracks"]), "closed with more than the manifest has")
        need(earlier["open"] == name(part["open"]), "another part's closing record")
    receipt = jws(part["receipt"], "sv-receipt+jwt", clinic["vault"]) if part.get("receipt") else end
    need(all(d["open"] == name(part["open"]) for d in (end, receipt)), "another part's end or receipt")
    need(receipt.get("ended_by") in (None, name(part.get("manifest") or part["closing"])), "a receipt of another end")
    pairs = [(said, here) for said in end["tracks"] + receipt["tracks"] for here in tracks if said["track"] == here["track"]]
    differing = [(said, here) for said, here in pairs if any(said[k] != here[k] for k in said.keys() & here.keys())]
    need(all(here["segments"] < said["segments"] for said, here in differing), "not as was signed at the end")
    need(all(here["length_bytes"] + here["unverified_bytes"] < said["length_bytes"] for said, here in differing), "altered")
    need(sorted(t["track"] for t in receipt["tracks"]) == sorted(t["track"] for t in tracks), "the receipt names other tracks")
    return opened, end, tracks, len(pairs) == 2 * len(tracks) and not differing and not any(t["unverified_bytes"] for t in tracks)

if __name__ == "__main__":
    try:
        folder, root, key_file, passphrase_file, out_folder = map(pathlib.Path, sys.argv[1:])
        text = (folder / "clinic.jws").read_text().strip()
        clinic = jws(text, "sv-clinic+jwt", {"x": root.read_text().strip()})
        key = read_key(key_file, passphrase_file.read_text().split("\n")[0].encode())
        listed = json.loads((folder / "recording.json").read_text())
        results = [open_part(part, listed["recording"], text, clinic, key, folder, out_folder) for part in listed["parts"]]
        results.sort(key=lambda result: result[0]["part"])
        numbers = [opened["part"] for opened, *_ in results]
        need(numbers and len(set(numbers)) == len(numbers), "no part, or one twice")
        need(len({opened["visit"] for opened, *_ in results}) == 1, "parts of different visits")
        previous = [opened.get("previous") or {} for opened, *_ in results]
        before = [-1, *numbers[:-1]]  # a number that nobody names may never have been recorded
        need(all(b <= p["part"] < n for p, b, n in zip(previous, before, numbers) if p), "another part is named as the one before")
        whole = numbers[0] == 0 and all(p.get("part") == b for p, b in list(zip(previous, before))[1:]) and all(result[3] for result in results)
        complete = whole and results[-1][1]["reason"] != "paused"
        print(json.dumps(dict(ok=True, complete=complete, tracks=[t for result in results for t in result[2]])))
        sys.exit(0 if complete else 3)
    except Exception as error:
        print(json.dumps(dict(ok=False, error=f"{type(error).__name__}: {error}")))
        sys.exit(1)
