#!/usr/bin/env python3
"""What open_recording.py says of many recordings, in one process: folders in, one a line; lines of JSON out, each
{"verdict": "complete" | "incomplete" | "altered" | "refused", "problems": [code, ...]}.
Usage: judge_recordings.py ROOT.PUB [SUITE PRIVATE-KEY] < folders; with a key it opens them, too, and throws away what comes out."""
import json, pathlib, sys, tempfile
sys.dont_write_bytecode = True
from open_recording import MISSING, Refused, judge_recording, private_key
from recording_documents import b64

root = pathlib.Path(sys.argv[1]).read_text().strip()
key = private_key(sys.argv[2], b64(sys.argv[3])) if sys.argv[2:] else None
with tempfile.TemporaryDirectory() as scratch:
    for number, line in enumerate(sys.stdin):
        out_folder = pathlib.Path(scratch) / str(number)
        if key: out_folder.mkdir()
        try:
            report = judge_recording(pathlib.Path(line.rstrip("\n")), root, key, out_folder)
            problems = set(report["problems"])
            verdict = "altered" if problems - MISSING else "complete" if report["complete"] else "incomplete"
            said = {"verdict": verdict, "problems": sorted(problems)}
        except Refused as error:
            said = {"verdict": "refused", "problems": [error.code]}
        print(json.dumps(said), flush=True)
