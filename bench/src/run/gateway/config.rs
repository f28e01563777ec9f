//! The configuration of each proxy, as its operators would write it for speed.

use std::{fmt::Write as _, path::Path};

use super::variant::{Front, Variant};

/// The configuration of `front` in front of the pods at the ports `pods`, and the flags that name the file of it.
pub(super) fn of(front: Front, variant: &Variant, port: u16, pods: &[u16]) -> String {
    match front {
        Front::Nginx => nginx(port, pods),
        Front::HaProxy => haproxy(port, pods),
        Front::McpProxy => mcp_proxy(port, pods),
        Front::Anypod => anypod(variant, port, pods),
    }
}

/// What comes after the program so that it stays in the foreground and reads `file`, in `directory`.
pub(super) fn arguments(front: Front, directory: &Path, file: &Path) -> Vec<String> {
    let (directory, file) = (directory.display().to_string(), file.display().to_string());
    match front {
        Front::Nginx => vec!["-p".to_owned(), directory, "-e".to_owned(), "stderr".to_owned(), "-c".to_owned(), file],
        Front::HaProxy => vec!["-db".to_owned(), "-q".to_owned(), "-f".to_owned(), file],
        Front::McpProxy | Front::Anypod => vec!["--config".to_owned(), file],
    }
}

/// A group of its own for a name that nobody calls makes the routing by name a real one. The buffers are those at which a
/// text of 1 MiB costs least; with its own it costs more than twice as much.
fn nginx(port: u16, pods: &[u16]) -> String {
    let servers: String = pods.iter().map(|pod| format!("        server 127.0.0.1:{pod};\n")).collect();
    format!(
        "daemon off;
master_process off;
pid nginx.pid;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_max_body_size 4m;
    client_body_buffer_size 2m;
    proxy_max_temp_file_size 0;
    proxy_buffers 32 64k;
    proxy_busy_buffers_size 1m;
    keepalive_requests 1000000000;
    upstream pods {{
{servers}        keepalive 256;
        keepalive_requests 1000000000;
    }}
    upstream others {{
{servers}        keepalive 256;
    }}
    map $http_mcp_name $upstream {{
        default pods;
        other others;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://$upstream;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $http_host;
        }}
    }}
}}
"
    )
}

/// Buffers four times its own make a text of 1 MiB cheaper by a third.
fn haproxy(port: u16, pods: &[u16]) -> String {
    let servers: String = pods.iter().map(|pod| format!("    server pod{pod} 127.0.0.1:{pod}\n")).collect();
    format!(
        "global
    nbthread 1
    maxconn 8000
    tune.bufsize 65536
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    balance roundrobin
    http-reuse always
frontend mcp
    bind 127.0.0.1:{port} backlog 4096
    use_backend others if {{ req.hdr(mcp-name) -m str other }}
    default_backend pods
backend pods
{servers}backend others
{servers}"
    )
}

/// It has one URL for each server, and so one pod.
fn mcp_proxy(port: u16, pods: &[u16]) -> String {
    let mut config = format!(
        "[proxy]\nname = \"bench\"\n[proxy.listen]\nhost = \"127.0.0.1\"\nport = {port}\n[observability]\nlog_level = \"error\"\n"
    );
    for pod in pods.iter().take(1) {
        write!(config, "[[backends]]\nname = \"pods\"\ntransport = \"http\"\nurl = \"http://127.0.0.1:{pod}/mcp\"\n")
            .expect("writing to a string never fails");
    }
    config
}

/// Every default, but for what the variant says.
fn anypod(variant: &Variant, port: u16, pods: &[u16]) -> String {
    let mut config = format!("[[listener]]\naddress = \"127.0.0.1:{port}\"\n");
    let names: Vec<_> = (0..variant.upstreams).map(|number| format!("\"{}\"", variant.tool(number))).collect();
    for (number, name) in names.iter().enumerate() {
        let urls: Vec<_> = pods.iter().map(|pod| format!("\"{}\"", variant.pod_url(*pod, number))).collect();
        write!(config, "[[upstream]]\nname = {name}\npods = [{}]\n", urls.join(", "))
            .expect("writing to a string never fails");
    }
    let (names, mode) = (names.join(", "), variant.mode.name());
    write!(config, "[[route]]\npath = \"/mcp\"\nupstreams = [{names}]\nmode = \"{mode}\"\n")
        .expect("writing to a string never fails");
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anypod_is_told_of_every_pod_of_every_upstream() {
        let config = anypod(&Variant::MANY_UPSTREAMS, 80, &[81, 82]);
        assert_eq!(config.matches("[[upstream]]").count(), 100);
        assert!(config.contains(r#"pods = ["http://127.0.0.1:81/u099/mcp", "http://127.0.0.1:82/u099/mcp"]"#));
        assert!(config.ends_with("\"u099\"]\nmode = \"verify\"\n"));
        assert!(anypod(&Variant::PARSE, 80, &[81]).contains("[\"http://127.0.0.1:81/mcp\"]"));
    }

    #[test]
    fn every_proxy_listens_where_it_is_told_and_knows_its_pods() {
        for front in Front::ALL {
            let config = of(front, &Variant::PLAIN, 4_000, &[4_001]);
            assert!(config.contains("4000") && config.contains("127.0.0.1:4001"), "{config}");
        }
    }
}
