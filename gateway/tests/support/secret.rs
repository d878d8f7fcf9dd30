//! A Secret with a certificate, as YAML. Shared by tests and benchmarks.

#![allow(unreachable_pub, reason = "several programs use it")]

/// A `kubernetes.io/tls` Secret with a new self-signed certificate, as YAML
/// that begins with `---`.
///
/// # Errors
/// A host that cannot be in a certificate.
pub fn certificate_secret(name: &str, hosts: &[&str]) -> Result<String, rcgen::Error> {
    let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let pair = rcgen::generate_simple_self_signed(names)?;
    let indent = |pem: String| pem.trim_end().replace('\n', "\n    ");
    Ok(format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: kubernetes.io/tls\nstringData:\n  \
         tls.crt: |\n    {}\n  tls.key: |\n    {}\n",
        indent(pair.cert.pem()),
        indent(pair.signing_key.serialize_pem())
    ))
}
