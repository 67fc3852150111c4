//! Sign-ins with BrowserID: fresh assertions on an open socket, compared with the bare checks of
//! the two signatures of each assertion.

use aws_lc_rs::digest;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dsa::signature::hazmat::PrehashVerifier as _;
use dsa::{BoxedUint, Components, Signature, VerifyingKey};
use num_bigint::BigUint;
use presence_tests::{Issuer, Key, Socket};
use serde_json::{Value, json};

use crate::report::{Finding, Judged, Pair};
use crate::scale::Scale;
use crate::sides::{cost, start_server, unlimited};
use crate::system::Process;

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    vec![
        sign_ins("sign-ins, RS256", Key::rsa(), scale).await,
        sign_ins("sign-ins, DS128", Key::dsa(), scale).await,
    ]
}

async fn sign_ins(what: &'static str, user_key: Key, scale: &Scale) -> Finding {
    let issuer = Issuer::with_keys(Key::rsa(), user_key).await;
    let server = start_server(unlimited().with("browserid-issuers", issuer.host())).await;
    let (own, process) = (Process::of(std::process::id()), Process::of(server.pid()));
    let checks = [Check::of(&issuer.key.public()), Check::of(&issuer.user_key.public())];
    let mint = || issuer.assertion("alice", &server.url());
    let mut device = Socket::device(&server).await;
    sign_in(&mut device, mint()).await;
    let mut rounds = Vec::new();
    for _ in 0..scale.rounds {
        let assertions: Vec<String> = (0..scale.arrivals).map(|_| mint()).collect();
        let signed: Vec<[Signed; 2]> = assertions.iter().map(|it| Signed::both(it)).collect();
        let count = assertions.len() as u64;
        let (genuine, baseline) = cost(own, async {
            let genuine = |both: &&[Signed; 2]| {
                both.iter().zip(&checks).all(|(signed, check)| check.holds(signed))
            };
            signed.iter().filter(genuine).count()
        })
        .await;
        assert_eq!(genuine, assertions.len());
        let ((), measured) = cost(process, async {
            for assertion in assertions {
                sign_in(&mut device, assertion).await;
            }
        })
        .await;
        rounds.push(Pair::new(baseline.per_core_second(count), measured.per_core_second(count)));
    }
    Finding { what, unit: "sign-ins a core second", rounds, judged: Judged::Nothing }
}

async fn sign_in(device: &mut Socket, assertion: String) {
    device.send(json!({"assertion": assertion, "status": "online"})).await;
    device.expect_ok().await;
}

/// A signed text and its signature.
struct Signed {
    text: String,
    signature: Vec<u8>,
}

impl Signed {
    /// Returns the signed parts of the certificate and of the assertion.
    fn both(assertion: &str) -> [Self; 2] {
        let (certificate, assertion) = assertion.split_once('~').unwrap();
        [certificate, assertion].map(|token| {
            let (text, signature) = token.rsplit_once('.').unwrap();
            Self { text: text.to_owned(), signature: URL_SAFE_NO_PAD.decode(signature).unwrap() }
        })
    }
}

/// A public key that checks signatures. Each assertion has its own key, so that the setup of the
/// key is measured too.
enum Check {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Dsa { p: BoxedUint, q: BoxedUint, g: BoxedUint, y: BoxedUint },
}

impl Check {
    fn of(public: &Value) -> Self {
        let number = |name: &str, radix| {
            BigUint::parse_bytes(public[name].as_str().unwrap().as_bytes(), radix).unwrap()
        };
        if public["algorithm"] == "RS" {
            let bytes = |name| number(name, 10).to_bytes_be();
            return Self::Rsa { modulus: bytes("n"), exponent: bytes("e") };
        }
        let boxed = |name, bits| boxed(&number(name, 16).to_bytes_be(), bits);
        Self::Dsa {
            p: boxed("p", 1024),
            q: boxed("q", 160),
            g: boxed("g", 1024),
            y: boxed("y", 1024),
        }
    }

    fn holds(&self, signed: &Signed) -> bool {
        let (text, signature) = (signed.text.as_bytes(), signed.signature.as_slice());
        match self {
            Self::Rsa { modulus, exponent } => PublicKeyComponents { n: modulus, e: exponent }
                .verify(&RSA_PKCS1_2048_8192_SHA256, text, signature)
                .is_ok(),
            Self::Dsa { p, q, g, y } => {
                let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text);
                let (r, s) = signature.split_at(20);
                let signature = Signature::from_components(boxed(r, 160), boxed(s, 160)).unwrap();
                let group = Components::from_components(p.clone(), q.clone(), g.clone()).unwrap();
                let key = VerifyingKey::from_components(group, y.clone()).unwrap();
                key.verify_prehash(hash.as_ref(), &signature).is_ok()
            }
        }
    }
}

/// Returns a big-endian number with this precision.
fn boxed(bytes: &[u8], bits: u32) -> BoxedUint {
    let length = (bits / 8) as usize;
    let padded = [vec![0; length - bytes.len()], bytes.to_vec()].concat();
    BoxedUint::from_be_slice(&padded, bits).unwrap()
}
