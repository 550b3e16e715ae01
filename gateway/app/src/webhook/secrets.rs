//! The secrets that sign notices, as the Standard Webhooks specification (1.0.0) has it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// What a secret begins with.
pub(crate) const PREFIX: &str = "whsec_";
/// The fewest and the most bytes of a secret, by the specification.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// The most secrets: one that counts, and the one before it for as long as receivers know that alone.
const SECRETS_MAX: usize = 2;
/// The most bytes of a file of secrets.
const FILE_BYTES_MAX: u64 = 4096;
/// How to come by a secret.
pub(crate) const REMEDY: &str = "make one by: (umask 077; printf 'whsec_%s\\n' \"$(head -c 32 /dev/urandom | base64)\" > FILE), name \
     FILE in webhook.secret_file, and give the line in it to the receiver";

/// Keys of signatures. They are shown nowhere.
pub(super) struct Secrets {
    keys: Vec<Hmac<Sha256>>,
}

impl Secrets {
    /// Reads a file with a secret on each line.
    ///
    /// # Errors
    /// A line that names the file, what is wrong, and a remedy. It holds nothing of what is in the file.
    pub(super) fn read(file: &Path) -> Result<Self, String> {
        let wrong = |what: String| format!("webhook.secret_file {}: {what}; {REMEDY}", file.display());
        let mut text = String::new();
        File::open(file)
            .and_then(|opened| opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
            .map_err(|e| wrong(e.to_string()))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(wrong(format!("it has more than {FILE_BYTES_MAX} bytes")));
        }
        Self::parse(&text).map_err(wrong)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() || lines.len() > SECRETS_MAX {
            return Err(format!("it has {} secrets, one a line; expected 1 to {SECRETS_MAX}", lines.len()));
        }
        let key = |(index, line): (usize, &&str)| {
            let number = index + 1;
            let encoded = line
                .strip_prefix(PREFIX)
                .ok_or_else(|| format!("secret {number} does not begin with {PREFIX}"))?;
            let secret = STANDARD
                .decode(encoded)
                .map_err(|_| format!("secret {number} is no base64 after {PREFIX}"))?;
            if !SECRET_BYTES.contains(&secret.len()) {
                let (least, most) = SECRET_BYTES.into_inner();
                return Err(format!(
                    "secret {number} has {} bytes; expected {least} to {most}",
                    secret.len()
                ));
            }
            Hmac::new_from_slice(&secret).map_err(|e| format!("secret {number}: {e}"))
        };
        Ok(Self { keys: lines.iter().enumerate().map(key).collect::<Result<_, String>>()? })
    }

    /// The value of the header `webhook-signature`: for each secret `v1,` and in base64 the HMAC-SHA256 of
    /// `id.timestamp.body`, the timestamp in seconds since 1970.
    pub(super) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let signature = |key: &Hmac<Sha256>| {
            let mut mac = key.clone();
            mac.update(format!("{id}.{timestamp}.").as_bytes());
            mac.update(body);
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        };
        self.keys.iter().map(signature).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answer of the specification's own libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn sign(secrets: &str) -> String {
        let secrets = Secrets::parse(secrets).unwrap_or_else(|e| panic!("{e}"));
        secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#)
    }

    #[test]
    fn the_signature_is_the_specifications() {
        assert_eq!(sign(SECRET), SIGNATURE);
        assert_eq!(sign(&format!("\n {SECRET} \n\n")), SIGNATURE);
    }

    #[test]
    fn two_secrets_sign_one_after_the_other() {
        let other = format!("{PREFIX}{}", STANDARD.encode([7; 32]));
        let both = sign(&format!("{other}\n{SECRET}\n"));
        assert_eq!(both, format!("{} {SIGNATURE}", sign(&other)));
        assert!(Secrets::parse(&format!("{other}\n{SECRET}\n{other}")).is_err());
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_shown() {
        let of = |bytes: usize| format!("{PREFIX}{}", STANDARD.encode(vec![1_u8; bytes]));
        for length in [24, 64] {
            assert!(Secrets::parse(&of(length)).is_ok(), "{length}");
        }
        for bad in ["", "hunter2hunter2", "whsec_hunter2!", &of(23), &of(65), &SECRET[6..]] {
            let Err(problem) = Secrets::parse(bad) else { panic!("{bad} is taken for a secret") };
            assert!(bad.is_empty() || !problem.contains(bad.trim_start_matches(PREFIX)), "{problem}");
        }
    }

    #[test]
    fn a_file_is_named_with_the_remedy() {
        let scratch = tempfile::tempdir().expect("a folder");
        let file = scratch.path().join("secret");
        let problem = |file: &Path| Secrets::read(file).err().unwrap_or_default();
        assert!(problem(&file).contains("secret: No such file"), "{}", problem(&file));
        std::fs::write(&file, "x".repeat(5000)).expect("a file");
        assert!(problem(&file).contains("more than 4096 bytes; make one by"), "{}", problem(&file));
        std::fs::write(&file, format!("{SECRET}\n")).expect("a file");
        assert_eq!(problem(&file), "");
    }
}
