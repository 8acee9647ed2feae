//! Edits to a recording. Each method changes one thing and then updates the documents that name it by its hash, so that a vector
//! has one fault and no others.

use super::base::{AUTHORITY, Base, CLINICIAN, PATIENT, RECORDER, ROOT, VAULT};
use super::signed::{self, Seed};
use super::stored::Folder;
use sealed_visit_protocol::bytes::to_base64url;
use sealed_visit_protocol::hash::sha256;
use sealed_visit_protocol::track::{
    MAGIC, RECORD_PREFIX_BYTES, RecordType, first_head, write_record,
};
use serde_json::{Value, json};

pub struct Edit {
    pub folder: Folder,
    /// `recording.json` as it stands in the file, where its text matters.
    pub recording_text: Option<String>,
    recording_keys: Vec<Seed>,
}

impl Edit {
    pub fn of(base: &Base) -> Self {
        Self {
            folder: base.folder.clone(),
            recording_text: None,
            recording_keys: base.recording_keys.clone(),
        }
    }

    pub fn part(&mut self, part: usize) -> &mut Value {
        &mut self.folder.recording["parts"][part]
    }

    pub fn parts(&mut self) -> &mut Vec<Value> {
        self.folder.recording["parts"].as_array_mut().unwrap()
    }

    /// A document of a part, e.g. `manifest`.
    pub fn text(&self, part: usize, document: &str) -> String {
        let text = self.folder.recording["parts"][part][document].as_str();
        text.unwrap_or_else(|| panic!("part {part} has no {document}"))
            .to_owned()
    }

    pub fn claims(&self, part: usize, document: &str) -> Value {
        signed::payload(&self.text(part, document))
    }

    pub fn recording_key(&self, part: usize) -> Seed {
        self.recording_keys[part]
    }

    fn signer(&self, part: usize, document: &str) -> (&'static str, Seed) {
        match document {
            "open" => ("sv-open+jwt", RECORDER),
            "manifest" => ("sv-manifest+jwt", self.recording_keys[part]),
            "closing" => ("sv-closing+jwt", VAULT),
            "receipt" => ("sv-receipt+jwt", VAULT),
            other => panic!("no document {other}"),
        }
    }

    // --- Documents of a part --------------------------------------------------------------------

    /// Changes a document and signs it again; documents that name it by its hash are updated.
    pub fn sign(&mut self, part: usize, document: &str, change: impl FnOnce(&mut Value)) {
        let mut claims = self.claims(part, document);
        change(&mut claims);
        self.sign_text(part, document, &claims.to_string());
    }

    /// Signs this text as the document.
    pub fn sign_text(&mut self, part: usize, document: &str, payload: &str) {
        let (typ, seed) = self.signer(part, document);
        self.put(part, document, &signed::sign_text(typ, payload, &seed));
    }

    /// The same claims, signed by another key.
    pub fn sign_with(&mut self, part: usize, document: &str, seed: &Seed) {
        let (typ, _) = self.signer(part, document);
        let jws = signed::sign_text(typ, &signed::payload_text(&self.text(part, document)), seed);
        self.put(part, document, &jws);
    }

    /// The same claims under another header, signed by the right key.
    pub fn sign_under(
        &mut self,
        part: usize,
        document: &str,
        change: impl FnOnce(String) -> String,
    ) {
        let jws = self.text(part, document);
        let header = change(signed::header_text(&jws));
        let (_, seed) = self.signer(part, document);
        let jws = signed::sign_under(&header, &signed::payload_text(&jws), &seed);
        self.put(part, document, &jws);
    }

    /// Changes a document's text, and not its signature.
    pub fn alter(&mut self, part: usize, document: &str, change: impl FnOnce(String) -> String) {
        let jws = change(self.text(part, document));
        self.put(part, document, &jws);
    }

    /// Replaces a document; documents that name it by its hash are updated.
    pub fn put(&mut self, part: usize, document: &str, jws: &str) {
        self.part(part)[document] = json!(jws);
        self.settle(part, Some(document));
    }

    /// Changes a document and signs it again. No other document is updated.
    pub fn put_alone(&mut self, part: usize, document: &str, change: impl FnOnce(&mut Value)) {
        let mut claims = self.claims(part, document);
        change(&mut claims);
        let (typ, seed) = self.signer(part, document);
        self.part(part)[document] = json!(signed::sign(typ, &claims, &seed));
    }

    /// The receipt that a vault would have given for the manifest or closing record that is here.
    pub fn receipt_for_what_is_here(&mut self, part: usize) {
        let ended_by = match self.part(part)["manifest"].as_str() {
            Some(manifest) => signed::hash(manifest),
            None => signed::hash(&self.text(part, "closing")),
        };
        self.put_alone(part, "receipt", |receipt| receipt["ended_by"] = ended_by);
    }

    /// The withdrawal in the manifest, signed by this key.
    pub fn withdrawal(&mut self, seed: &Seed, change: impl FnOnce(&mut Value)) {
        self.sign(0, "manifest", |manifest| {
            resign(
                &mut manifest["withdrawal"],
                "sv-statement+jwt",
                seed,
                change,
            );
        });
    }

    /// The first confirmed place in the manifest, signed by this key.
    pub fn place(&mut self, seed: &Seed, change: impl FnOnce(&mut Value)) {
        self.sign(0, "manifest", |manifest| {
            resign(&mut manifest["places"][0], "sv-place+jwt", seed, change);
        });
    }

    /// Makes manifest, closing record and receipt name the documents that are here, except in the one that was just replaced.
    fn settle(&mut self, part: usize, put: Option<&str>) {
        let open = signed::hash(&self.text(part, "open"));
        for document in ["manifest", "closing"] {
            if put == Some(document) {
                continue;
            }
            self.follow(part, document, |claims| claims["open"] = open.clone());
        }
        if put == Some("receipt") {
            return;
        }
        let here = self.part(part).clone();
        self.follow(part, "receipt", |claims| {
            claims["open"] = signed::hash(here["open"].as_str().unwrap());
            let ended_by = if claims["finished"] == true {
                "manifest"
            } else {
                "closing"
            };
            if let Some(jws) = here[ended_by].as_str() {
                claims["ended_by"] = signed::hash(jws);
            }
            for said in claims["tracks"].as_array_mut().unwrap() {
                let mut listed = here["tracks"].as_array().unwrap().iter();
                let listed = listed.find(|listed| listed["track"] == said["track"]);
                let newest = listed.and_then(|listed| listed["envelopes"].get(0));
                if let Some(envelope) = newest {
                    said["envelope"] = signed::hash(envelope.as_str().unwrap());
                }
            }
        });
    }

    /// Changes a document and signs it again, if it is there.
    fn follow(&mut self, part: usize, document: &str, change: impl FnOnce(&mut Value)) {
        let Some(jws) = self.part(part)[document].as_str().map(str::to_owned) else {
            return;
        };
        let before = signed::payload(&jws);
        let mut claims = before.clone();
        change(&mut claims);
        if claims != before {
            let (typ, seed) = self.signer(part, document);
            self.part(part)[document] = json!(signed::sign(typ, &claims, &seed));
        }
    }

    // --- What an open statement rests on --------------------------------------------------------

    /// A grant, by its author: 0 the clinician's, 1 the patient's.
    pub fn grant(&mut self, part: usize, index: usize, change: impl FnOnce(&mut Value)) {
        let author = [CLINICIAN, PATIENT][index];
        self.sign(part, "open", |open| {
            let grant = &mut open["grants"][index];
            resign(grant, "sv-statement+jwt", &author, change);
        });
    }

    /// The request, by the clinician; the grants are of this request.
    pub fn request(&mut self, part: usize, change: impl FnOnce(&mut Value)) {
        self.sign(part, "open", |open| {
            resign(&mut open["request"], "sv-request+jwt", &CLINICIAN, change);
            let request = signed::hash(open["request"].as_str().unwrap());
            for (index, author) in [CLINICIAN, PATIENT].iter().enumerate() {
                resign(
                    &mut open["grants"][index],
                    "sv-statement+jwt",
                    author,
                    |grant| {
                        grant["request"] = request.clone();
                    },
                );
            }
        });
    }

    /// A pass of the roster: 0 the clinician's, 1 the patient's, 2 the recorder's.
    pub fn roster(&mut self, part: usize, index: usize, change: impl FnOnce(&mut Value)) {
        self.sign(part, "open", |open| {
            resign(
                &mut open["roster"][index],
                "sv-pass+jwt",
                &AUTHORITY,
                change,
            );
        });
    }

    /// A track's header in the open statement alone: its file keeps the old one.
    pub fn header(&mut self, part: usize, track: usize, change: impl FnOnce(&mut Value)) {
        self.sign(part, "open", |open| {
            let header = open["tracks"][track]["header"].as_str().unwrap();
            let header = sealed_visit_protocol::bytes::from_base64url(header).unwrap();
            let mut claims: Value = serde_json::from_slice(&header).unwrap();
            change(&mut claims);
            let header = to_base64url(claims.to_string().as_bytes());
            open["tracks"][track]["header"] = json!(header);
        });
    }

    /// The clinic document, by the root key; every part was recorded under it.
    pub fn clinic(&mut self, change: impl FnOnce(&mut Value)) {
        self.clinic_alone(change);
        let document = signed::hash(&self.folder.clinic);
        for part in 0..self.parts().len() {
            self.sign(part, "open", |open| open["clinic"] = document.clone());
        }
    }

    /// The clinic document, by the root key; the parts name the one before.
    pub fn clinic_alone(&mut self, change: impl FnOnce(&mut Value)) {
        let mut claims = signed::payload(&self.folder.clinic);
        change(&mut claims);
        self.folder.clinic = signed::sign("sv-clinic+jwt", &claims, &ROOT);
    }

    // --- Envelopes and tracks -------------------------------------------------------------------

    pub fn envelope(&mut self, part: usize, track: usize, change: impl FnOnce(&mut Value)) {
        let seed = self.recording_keys[part];
        let envelope = &mut self.part(part)["tracks"][track]["envelopes"][0];
        resign(envelope, "sv-envelope+jwt", &seed, change);
        self.settle(part, None);
    }

    pub fn envelope_text(
        &mut self,
        part: usize,
        track: usize,
        change: impl FnOnce(String) -> String,
    ) {
        let envelope = &mut self.part(part)["tracks"][track]["envelopes"][0];
        *envelope = json!(change(envelope.as_str().unwrap().to_owned()));
        self.settle(part, None);
    }

    pub fn file_name(&self, part: usize, track: usize) -> String {
        let listed = &self.folder.recording["parts"][part]["tracks"][track]["track"];
        format!("{}.track", listed.as_str().unwrap())
    }

    pub fn file(&mut self, part: usize, track: usize) -> &mut Vec<u8> {
        let name = self.file_name(part, track);
        self.folder.tracks.get_mut(&name).unwrap()
    }

    /// Changes a checkpoint of a track and signs it again with the recording key.
    pub fn checkpoint(
        &mut self,
        part: usize,
        track: usize,
        index: usize,
        change: impl FnOnce(&mut Value),
    ) {
        let seed = self.recording_keys[part];
        let file = self.file(part, track);
        let at = record(file, 2 + 2 * index);
        let text = String::from_utf8(file[at.body.clone()].to_vec()).unwrap();
        let mut claims = signed::payload(&text);
        change(&mut claims);
        let jws = signed::sign("sv-checkpoint+jwt", &claims, &seed);
        let mut changed = Vec::new();
        write_record(&mut changed, RecordType::Checkpoint, jws.as_bytes()).unwrap();
        file.splice(at.start..at.body.end, changed);
    }

    /// The chain head in a checkpoint.
    pub fn head(&mut self, part: usize, track: usize, index: usize) -> Value {
        let file = self.file(part, track);
        let body = record(file, 2 + 2 * index).body;
        let text = std::str::from_utf8(&file[body]).unwrap();
        signed::payload(text)["head"].clone()
    }

    /// The chain head before the first segment.
    pub fn first_head(&mut self, part: usize, track: usize) -> Value {
        let file = self.file(part, track);
        let body = record(file, 0).body;
        json!(first_head(&sha256(&file[body])))
    }

    /// A record's first byte and its body: 0 is the header, then segment and checkpoint by turns.
    pub fn record(&mut self, part: usize, track: usize, index: usize) -> Record {
        record(self.file(part, track), index)
    }
}

pub struct Record {
    /// Where its type stands.
    pub start: usize,
    pub body: std::ops::Range<usize>,
}

fn record(file: &[u8], index: usize) -> Record {
    let mut start = MAGIC.len();
    for _ in 0..index {
        start += RECORD_PREFIX_BYTES + length_at(file, start);
    }
    let body = start + RECORD_PREFIX_BYTES;
    Record {
        start,
        body: body..body + length_at(file, start),
    }
}

fn length_at(file: &[u8], start: usize) -> usize {
    u32::from_be_bytes(file[start + 1..start + 5].try_into().unwrap()) as usize
}

/// Changes a document inside another one and signs it again.
pub fn resign(document: &mut Value, typ: &str, seed: &Seed, change: impl FnOnce(&mut Value)) {
    let mut claims = signed::payload(document.as_str().unwrap());
    change(&mut claims);
    *document = json!(signed::sign(typ, &claims, seed));
}
