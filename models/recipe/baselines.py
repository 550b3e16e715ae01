"""Makes the baseline of every version: the profile of its training data, and of its answers to them.

    python baselines.py --pointsman ../../target/debug/pointsman [--out ..]

Run it after make_models.py. It writes baseline.json into each version's folder, and its digest into the manifest.
"""

import argparse
import hashlib
import re
import subprocess
import tempfile
from pathlib import Path

import pandas as pd

import sources

VERSIONS = {"iris": (1, 2, 3), "digits": (1,), "flights": (1, 2, 3)}


def training_data():
    """By model, the rows on which its versions were trained, with columns named as the card names features."""
    iris, digits = sources.iris(), sources.digits()
    rows = sources.flights()
    train, _, _ = sources.split_flights(rows)
    return {
        "iris": pd.DataFrame(iris.x_train, columns=iris.features),
        "digits": pd.DataFrame(digits.x_train, columns=digits.features),
        "flights": sources.take_flights(rows, train.index),
    }


def list_in_manifest(manifest, baseline):
    """Lets the manifest's table of files have the baseline's digest."""
    digest = hashlib.sha256(baseline.read_bytes()).hexdigest()
    line = f'"baseline.json" = "sha256:{digest}"\n'
    text = re.sub(r'"baseline\.json" = .*\n', "", manifest.read_text())
    text = re.sub(r'("golden\.json" = .*\n)', lambda found: found.group(1) + line, text)
    manifest.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).resolve().parent
    parser.add_argument("--pointsman", type=Path, default=here.parent.parent / "target" / "debug" / "pointsman")
    parser.add_argument("--out", type=Path, default=here.parent, metavar="DIR")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for model, rows in training_data().items():
            data = Path(scratch) / f"{model}_train.csv"
            # What FP32 holds comes back from nine digits as it was.
            rows.to_csv(data, index=False, float_format="%.9g")
            for number in VERSIONS[model]:
                folder = arguments.out / model / str(number)
                # A listed file that is about to change would not agree with its digest.
                baseline = Path(scratch) / "baseline.json"
                command = [arguments.pointsman, "baseline", "build", data, "--model", model, "--version", str(number)]
                subprocess.run([*command, "--models", arguments.out, "--out", baseline], check=True)
                (folder / "baseline.json").write_bytes(baseline.read_bytes())
                list_in_manifest(folder / "manifest.toml", folder / "baseline.json")


if __name__ == "__main__":
    main()
