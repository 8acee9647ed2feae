#!/usr/bin/env python3
"""Verifies and opens a recording, after docs/FORMAT.md, on Python's `cryptography` >= 50 alone. Prints a line of JSON with the
codes of all problems; exits 0 when complete, 3 when genuine but not complete, 1 when altered, refused, or not opened.
Usage: open_recording.py FOLDER ROOT.PUB [KEY.JWE PASSPHRASE-FILE OUT-FOLDER (which must exist)]; without a key it verifies."""
import hashlib, io, json, pathlib, re, struct, sys, unicodedata
from cryptography.cobblestone import Cobblestone256Decryptor
from cryptography.hazmat.primitives import hpke, keywrap
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.kdf import hkdf, pbkdf2
sys.dont_write_bytecode = True
from recording_documents import b64, by_pass, encode, first_head, jws, name, need, read_clinics, read_json, read_listing, read_open, read_statement, sha256

# --- Keys
def read_key(path, passphrase_file):  # a compact JWE (RFC 7516, RFC 7518), with every form of its passphrase
    header, wrapped, iv, text, tag = path.read_text().strip().split(".")
    said, typed = read_json(b64(header)), passphrase_file.read_bytes()
    need((said["alg"], said["enc"], said["cty"]) == ("PBES2-HS512+A256KW", "A256GCM", "sealed-visit-key+json"), "R-62")
    need(len(b64(said["p2s"])) >= 8 and 1_000 <= said["p2c"] <= 10_000_000, "R-62")
    typed = re.split("[\r\n]", typed.decode("utf-16" if typed[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"))[0]
    bare, salt = typed.removeprefix("\ufeff"), said["alg"].encode() + b"\0" + b64(said["p2s"])
    nfc, nfd = (unicodedata.normalize(form, bare) for form in ("NFC", "NFD"))
    older = [form for one in (nfc, nfd) for form in (one + "\n", one + "\r\n", one + "\r", "\ufeff" + one)]
    for form in dict.fromkeys([nfc, typed, bare, nfd, *older]):
        wrapping = pbkdf2.PBKDF2HMAC(SHA512(), 32, salt, said["p2c"]).derive(form.encode())
        try: content_key = keywrap.aes_key_unwrap(wrapping, b64(wrapped))
        except keywrap.InvalidUnwrap: continue
        content = json.loads(AESGCM(content_key).decrypt(b64(iv), b64(text) + b64(tag), header.encode()))
        return private_key(content["suite"], b64(content["private_key"]))
    raise ValueError("wrong passphrase")

def private_key(suite, seed):
    if suite == "x25519":
        key = x25519.X25519PrivateKey.from_private_bytes(seed)
        return suite, hpke.KEM.X25519, key, key.public_key().public_bytes_raw()
    seeds = hashlib.shake_256(seed).digest(96)  # X-Wing: the seed of ML-KEM-768, then the X25519 scalar
    pair = mlkem.MLKEM768PrivateKey.from_seed_bytes(seeds[:64]), x25519.X25519PrivateKey.from_private_bytes(seeds[64:])
    public = b"".join(half.public_key().public_bytes_raw() for half in pair)
    return "x-wing", hpke.KEM.MLKEM768_X25519, hpke.MLKEM768X25519PrivateKey(*pair), public

def judge_envelope(text, header):  # the code of its problem, or None
    try: claims = jws(text, "sv-envelope+jwt", header["recording_key"]["x"])
    except Exception: return "envelope-invalid"
    if claims["header_hash"] != header["hash"] or any(claims[k] != header[k] for k in ("recording", "part", "track")):
        return "envelope-elsewhere"
    same = [k["recipient"] for k in claims["keys"]] == header["recipients"]
    return None if same and bool(claims.get("share_hash")) == header["share_required"] else "envelope-invalid"

def track_key(text, header, share, key):
    suite, kem, private, public = key
    claims, header_hash = jws(text, "sv-envelope+jwt", header["recording_key"]["x"]), b64(header["hash"])
    if header["share_required"]: need(len(share) == 32 and b64(claims["share_hash"]) == sha256(share), "R-54: another share")
    mine = sha256(b"sealed-visit recipient v1\0" + suite.encode() + b"\0" + public)
    wrapped = next(k for k in claims["keys"] if b64(k["recipient"]) == mine and k["suite"] == suite)
    cipher, info = hpke.Suite(kem, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM), b"sealed-visit envelope v1\0"
    secret = cipher.decrypt(b64(wrapped["enc"]) + b64(wrapped["ciphertext"]), private, info + header_hash + mine)
    return hkdf.HKDF(SHA256(), 32, share, b"sealed-visit track key v1\0" + header_hash).derive(secret)

# --- A track's bytes
def follow(data, header, key, out):  # the summary of the good part, as a manifest has it; `failed` if something stopped it
    head, ends, heads = b64(first_head(header)), b"", {first_head(header)}
    good = dict(track=header["track"], header_hash=header["hash"], segments=0, length_bytes=0, media_end_us=0, failed=None)
    def record(at, kind, limit):  # its body, or None if the file ends before
        length = int.from_bytes(data[at + 1 : at + 5], "big")
        need(len(data) < at + 5 or data[at : at + 1] == kind and length <= limit, "R-44: not the record that must follow")
        return data[at + 5 : at + 5 + length] if len(data) >= at + 5 + length and len(data) >= at + 5 else None
    try:
        need(len(data) < 8 or data[:8] == b"SVTRACK\1", "R-44: not a track")
        body = record(8, b"H", 65536)
        need(body in (None, header["bytes"]), "R-47: another header")
        if body is not None: good["length_bytes"] = 13 + len(body)
        while good["length_bytes"]:
            sealed = record(good["length_bytes"], b"S", 1 << 24)
            end = good["length_bytes"] + 5 + len(sealed or b"")
            checkpoint = None if sealed is None else record(end, b"C", 65536)
            if checkpoint is None: break
            said, before = jws(checkpoint.decode(), "sv-checkpoint+jwt", header["recording_key"]["x"]), head
            after = sha256(b"sealed-visit chain v1\0" + before + sha256(sealed))
            expected = (header["track"], good["segments"], end, encode(after))
            need((said["track"], said["index"], said["end"], said["head"]) == expected, "R-48: another checkpoint")
            need(said["media_end_us"] >= good["media_end_us"], "R-49: media time goes back")
            if key:
                context = b"sealed-visit segment v1\0" + b64(header["hash"]) + struct.pack(">Q", good["segments"]) + before
                decryptor = Cobblestone256Decryptor(key, context)
                out.write(decryptor.update(sealed) + decryptor.finalize())
            heads.add(encode(after))
            head, ends = after, ends + struct.pack(">Q", end) + sha256(sealed)
            good |= dict(segments=good["segments"] + 1, length_bytes=end + 5 + len(checkpoint), media_end_us=said["media_end_us"])
    except Exception as error: good["failed"] = f"{type(error).__name__}: {error}"
    return good | dict(head=encode(head), heads=heads, index_hash=encode(sha256(ends)), size=len(data))

def judge_bytes(here, signed):  # the code of its problem, or None
    if here is None: return None if signed and signed["length_bytes"] == 0 else "track-missing"
    if signed and here["length_bytes"] and all(signed[k] == here[k] for k in SUMMARY):
        return "bytes-after-end" if here["size"] > here["length_bytes"] else None
    if here["failed"]: return "track-altered"
    if not here["length_bytes"]: return "track-without-header"
    if not signed: return None
    if here["segments"] >= signed["segments"]: return "end-differs"
    return "track-altered" if here["size"] >= signed["length_bytes"] else "track-truncated"

SUMMARY = ("segments", "length_bytes", "head", "index_hash", "media_end_us", "header_hash")

# --- A part
def attempt(read, *arguments):  # what it gives, or None
    try: return read(*arguments)
    except Exception: return None

def judge_end(end, opened, clinic, is_manifest):
    if is_manifest and end["ended_ms"] < end["started_ms"]: yield "end-times-invalid"
    if sorted(t["track"] for t in end["tracks"]) != sorted(t["track"] for t in opened["tracks"]): yield "end-tracks-differ"
    for track in end["tracks"]:
        if not all(g["from_us"] <= min(g["to_us"], track["media_end_us"]) for g in track.get("gaps", [])): yield "end-times-invalid"
    if end.get("withdrawal") is not None:
        said, author = attempt(read_statement, end["withdrawal"], clinic, opened) or ({"kind": None}, None)
        if said["kind"] != "withdrawal" or said["round"] != opened["round"] or (
                author["sub"] not in opened["granted_by"] and said["request"] != opened["request_hash"]): yield "withdrawal-invalid"
    for text in end.get("places", []):
        said, host = attempt(by_pass, text, "sv-place+jwt", clinic, opened) or (None, None)
        if not said or host["role"] != "clinician" or said["round"] != opened["round"]: yield "place-invalid"

def judge_receipt(receipt, part, opened, here, usable):
    ended_by = part.get("manifest" if receipt["finished"] else "closing")
    if not is_of(receipt, part, opened) or ended_by is None or receipt["ended_by"] != name(ended_by): return ["receipt-differs"]
    if sorted(t["track"] for t in receipt["tracks"]) != sorted(here): return ["receipt-differs"]
    more = 0
    for said in receipt["tracks"]:
        good, envelopes = here[said["track"]], usable[said["track"]]
        if good is None and said["length_bytes"] == 0: pass
        elif not good or not good["length_bytes"] or said["segments"] > good["segments"]: more += 1
        elif any(said[k] != good[k] for k in ("length_bytes", "segments", "head")): return ["receipt-differs"]
        if envelopes and said["envelope"] not in map(name, envelopes): return ["receipt-differs"]
    return ["receipt-covers-more"] * more

def is_of(document, part, opened):
    return (document["open"], document["recording"], document["part"]) == (name(part["open"]), opened["recording"], opened["part"])

def open_part(part, clinics):  # its clinic document, and what its open statement says
    wanted = jws(part["open"], "sv-open+jwt")["clinic"]
    clinic = clinics.get(wanted) or max(reversed(clinics.values()), key=lambda clinic: clinic["number"])
    return clinic, wanted in clinics, *read_open(part["open"], clinic)

def judge_part(part, clinic, is_its_clinic, opened, headers, recording, folder, key, out_folder):
    problems, errors, tracks = [], [], []
    if not is_its_clinic: problems.append("other-clinic-document")
    if not clinic["not_before_ms"] <= opened["at_ms"] < clinic["not_after_ms"]: problems.append("clinic-document-not-valid")
    if problems: key = None
    if (opened["recording"], opened["part"]) != (recording, part["part"]): problems.append("listed-elsewhere")
    here, usable = dict.fromkeys(headers), {track: [] for track in headers}
    for listed in part["tracks"]:
        track, envelopes = listed["track"], listed.get("envelopes", [])
        header = headers.get(track)
        if not header:
            problems += ["unknown-track"] + ["envelope-elsewhere"] * len(envelopes)
            continue
        judged = [judge_envelope(text, header) for text in envelopes]
        problems += filter(None, judged)
        usable[track] += [text for text, code in zip(envelopes, judged) if not code]
        if track in {t["track"] for t in tracks}: problems.append("track-twice")
        path, out, opening = folder / f"{track}.track", io.BytesIO(), None
        tracks.append({"track": track})
        if len([t for t in tracks if t["track"] == track]) > 1 or not path.exists(): continue
        if key:
            share = b64(listed.get("share", "")) if header["share_required"] else b""
            opening = next(filter(None, (attempt(track_key, text, header, share, key) for text in reversed(usable[track]))), None)
            if not opening: errors.append(f"track {track} does not open with this key and share")
        if opening:
            target = out_folder / f"part-{opened['part']}-{header['content']['kind']}-{track}"
            while target.exists(): target = target.with_name(target.name + "-again")  # of a part that is here twice
            tracks[-1]["file"], out = str(target), open(target, "xb")
        with out: here[track] = follow(path.read_bytes(), header, opening, out)
        tracks[-1] |= {k: v for k, v in here[track].items() if k != "heads"}
    problems += ["envelope-missing" for track in headers if here[track] and not usable[track]]
    ends = []
    for kind, signer in (("manifest", opened["recording_key"]["x"]), ("closing", clinic["vault"]["x"])):
        if part.get(kind) is None: continue
        end = attempt(jws, part[kind], f"sv-{kind}+jwt", signer)
        if not end or not is_of(end, part, opened):
            problems.append(f"{kind}-of-another-part" if end else f"{kind}-invalid")
            continue
        problems += judge_end(end, opened, clinic, kind == "manifest")
        signed = {t["track"]: t for t in reversed(ends[0]["tracks"])} if ends else {}
        pairs = [(t, signed[t["track"]]) for t in end["tracks"] if t["track"] in signed]
        if any(a["segments"] > b["segments"] or a["segments"] == b["segments"] and a["head"] != b["head"] for a, b in pairs):
            problems.append("end-differs")
        ends.append(end)
    signed = {t["track"]: t for t in reversed(ends[0]["tracks"])} if ends else {}
    problems += filter(None, (judge_bytes(here[track], signed.get(track)) for track in headers))
    if part.get("receipt") is not None:
        receipt = attempt(jws, part["receipt"], "sv-receipt+jwt", clinic["vault"]["x"])
        problems += judge_receipt(receipt, part, opened, here, usable) if receipt else ["receipt-invalid"]
    return dict(opened=opened, end=next(iter(ends), None), problems=problems, errors=errors, tracks=tracks,
                heads={t: here[t]["heads"] if here[t] else {first_head(headers[t])} for t in headers},
                is_empty=(not ends or "closed_ms" in ends[0]) and not any(g and g["segments"] for g in here.values()))

def judge_parts(parts):  # in order
    if not parts: yield "no-part"
    identity = lambda part: [part["opened"][k] for k in ("recording", "visit", "request_hash")]
    for position, (before, part) in enumerate(zip([None, *parts], parts)):
        number, previous = part["opened"]["part"], part["opened"].get("previous")
        last = before["opened"]["part"] if before else -1
        if identity(part) != identity(parts[0]): yield "other-recording"
        if number == last: yield "part-twice"
        elif previous is None: yield from ["previous-missing"] * (number > 0) + ["part-missing"] * (number > last + 1)
        else:
            known = next((one["heads"] for one in parts[:position][::-1] if one["opened"]["part"] == previous["part"]), {})
            skipped = any(one["opened"]["part"] > previous["part"] and not one["is_empty"] for one in parts[:position])
            named = {track: {head for of, head in previous["heads"] if of == track} for track, _ in previous["heads"]}
            if previous["part"] >= number or skipped or known and not set(named) <= set(known): yield "previous-differs"
            elif not known and previous["part"] > 0: yield "part-missing"
            else: yield from ("previous-head-missing" for track in known if not named.get(track, {None}) <= known[track])
    if parts and parts[0]["opened"]["part"] > 0 and parts[0]["opened"].get("previous") is not None: yield "part-missing"
    if parts and parts[-1]["end"] and parts[-1]["end"]["reason"] == "paused": yield "ends-in-pause"

MISSING = {"part-missing", "ends-in-pause", "previous-missing", "previous-head-missing", "track-missing", "track-truncated",
           "track-without-header", "envelope-missing", "receipt-covers-more"}

class Refused(ValueError):  # nothing can be judged
    def __init__(self, code, error): super().__init__(f"{type(error).__name__}: {error}"); self.code = code

def refusing(code, read, *arguments):
    try: return read(*arguments)
    except Exception as error: raise Refused(code, error) from error

def judge_recording(folder, root, key=None, out_folder=None):
    clinics = refusing("clinic-document-refused", read_clinics, folder, root)
    file = refusing("recording-unreadable", read_listing, folder)
    opened = [(part, refusing("open-statement-refused", open_part, part, clinics)) for part in file["parts"]]
    parts = [judge_part(part, *found, file["recording"], folder, key, out_folder) for part, found in opened]
    parts.sort(key=lambda part: part["opened"]["part"])
    problems = [*(code for part in parts for code in part["problems"]), *judge_parts(parts)]
    errors = [error for part in parts for error in part["errors"]]
    ok = not errors and set(problems) <= MISSING
    complete = ok and not problems and all(part["end"] for part in parts)
    tracks = [track for part in parts for track in part["tracks"]]
    return dict(ok=ok, complete=complete, problems=problems, errors=errors, tracks=tracks)

if __name__ == "__main__":
    try:
        folder, root, *opening = map(pathlib.Path, sys.argv[1:])
        key, out_folder = (read_key(*opening[:2]), opening[-1]) if opening else (None, None)
        report = judge_recording(folder, root.read_text().strip(), key, out_folder)
        print(json.dumps(report))
        sys.exit(0 if report["complete"] else 3 if report["ok"] else 1)
    except Exception as error:
        report = dict(ok=False, error=f"{type(error).__name__}: {error}")
        print(json.dumps(report | ({"problem": error.code} if isinstance(error, Refused) else {})))
        sys.exit(1)
