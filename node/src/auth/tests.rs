//! The vector of the specification, and everything that must not verify.

use super::*;

const NOW: u64 = 1_790_000_000;

fn key() -> SecretKey {
    SecretKey::from_bytes(&[1; 32]).unwrap()
}

fn chain() -> ChainId {
    ChainId::of_genesis(b"palisade-local")
}

fn request() -> Request<'static> {
    Request {
        method: "POST",
        authority: "node.example:8645",
        path: "/v1/jobs/estimate",
        query: "",
        body: b"{\"limit\":10}",
    }
}

fn signed() -> Headers {
    let nonce: [u8; 16] = std::array::from_fn(|index| u8::try_from(index).unwrap());
    sign(&request(), &key(), &chain(), NOW, nonce)
}

/// The vector of the specification, to the byte.
#[test]
fn auth_vector() {
    let headers = signed();
    assert_eq!(
        headers.digest,
        "sha-256=:ylAt7ARSPNwzr+zmmptgDVub0CLUU3kcxpO2s3L4CK0=:"
    );
    let params = headers.input.strip_prefix("pal=").unwrap();
    assert_eq!(
        digest_of(&request(), params, &chain()).to_string(),
        "d28f7b1c052070cc1526bb0fc4faf0f5850b2f6ded46a3530c6c6d21fac54cff"
    );
    assert_eq!(
        headers.signature,
        "pal=:lWrq68GZhXxikxh+EXisNF1xEClQFUXhEvGHU5A12+A7K/+nefcgnwYMVqPpwEZAxKxskPVVUh1neIbrCD998g==:"
    );
    let who = Nonces::new(NOW)
        .check(&request(), &headers, &chain(), NOW)
        .unwrap();
    assert_eq!(who, key().public());
}

#[test]
fn auth_any_altered_component_fails() {
    let refused = |request: &Request<'_>, headers: &Headers| {
        Nonces::new(NOW)
            .check(request, headers, &chain(), NOW)
            .is_err()
    };
    let original = request();
    for changed in [
        Request {
            method: "PUT",
            ..original
        },
        Request {
            authority: "node.example:8646",
            ..original
        },
        Request {
            path: "/v1/jobs/estimatf",
            ..original
        },
        Request {
            query: "a=1",
            ..original
        },
        Request {
            body: b"{\"limit\":11}",
            ..original
        },
    ] {
        assert!(refused(&changed, &signed()), "{changed:?}");
    }
    // Every byte of every header in turn, one bit of it turned.
    let headers = signed();
    for part in 0..3 {
        let parts = [&headers.digest, &headers.input, &headers.signature];
        for at in 0..parts[part].len() {
            let mut bytes = parts[part].clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(text) = String::from_utf8(bytes) else {
                continue;
            };
            let mut changed = headers.clone();
            *[
                &mut changed.digest,
                &mut changed.input,
                &mut changed.signature,
            ][part] = text;
            assert!(refused(&original, &changed), "header {part}, byte {at}");
        }
    }
    let other = ChainId::of_genesis(b"another");
    assert!(
        Nonces::new(NOW)
            .check(&original, &headers, &other, NOW)
            .is_err()
    );
}

#[test]
fn auth_replay_fails() {
    let mut nonces = Nonces::new(NOW);
    nonces.check(&request(), &signed(), &chain(), NOW).unwrap();
    let again = nonces
        .check(&request(), &signed(), &chain(), NOW + 1)
        .unwrap_err();
    assert_eq!(again.code, "auth.replay");
    // After a restart, what was signed before it is refused.
    let restarted = Nonces::new(NOW + 1).check(&request(), &signed(), &chain(), NOW + 1);
    assert_eq!(restarted.unwrap_err().code, "auth.expired");
}

#[test]
fn times_are_bounded() {
    let check = |now: u64| Nonces::new(NOW - 100).check(&request(), &signed(), &chain(), now);
    assert!(check(NOW - 5).is_ok() && check(NOW + 60).is_ok());
    for now in [NOW - 6, NOW + 61] {
        assert_eq!(check(now).unwrap_err().code, "auth.expired");
    }
}

#[test]
fn one_key_cannot_fill_the_table_and_old_nonces_go() {
    let mut nonces = Nonces::new(NOW);
    let who = key().public();
    for number in 0..NONCES_PER_KEY_MAX {
        nonces
            .remember((who, number.to_string()), NOW + 10, NOW)
            .unwrap();
    }
    assert!(nonces.remember((who, "x".into()), NOW + 10, NOW).is_err());
    let other = SecretKey::from_bytes(&[2; 32]).unwrap().public();
    assert!(nonces.remember((other, "x".into()), NOW + 10, NOW).is_ok());
    assert!(
        nonces
            .remember((who, "x".into()), NOW + 30, NOW + 11)
            .is_ok()
    );
}

#[test]
fn base64_is_exact() {
    for (bytes, text) in [
        (&b""[..], ""),
        (b"f", "Zg=="),
        (b"fo", "Zm8="),
        (b"foo", "Zm9v"),
        (b"foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(base64(bytes), text);
        assert_eq!(unbase64(text).unwrap(), bytes);
    }
    for bad in ["Zg", "Zg=", "Zh==", "Z", "Zg===", "Zg==\n", "Zm9v="] {
        assert_eq!(unbase64(bad), None, "{bad}");
    }
}
