//! Ports that services publish: whether somebody else has them is found before a container is stopped for them.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use super::model::{Model, Port};
use crate::host::HostError;
use crate::host::engine::client::Engine;
use crate::host::engine::resources::Binding;
use crate::host::engine::resources::{Network, Publisher};

/// Who has the ports that `services` publish, one line each. Their own containers give theirs up.
pub(super) async fn taken(engine: &Engine, model: &Model, services: &[String]) -> Result<Vec<String>, HostError> {
    let wanted: Vec<(&str, Binding)> = services
        .iter()
        .filter_map(|name| Some((name.as_str(), model.services.get(name)?)))
        .flat_map(|(name, service)| service.ports.iter().filter_map(move |port| Some((name, port.binding()?))))
        .collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let publishers = engine.publishers().await?;
    let listening = if shares_the_network(&engine.networks().await?) { listening().await } else { Vec::new() };
    Ok(conflicts(&wanted, &publishers, &listening, |publisher| {
        publisher.project.as_deref() == Some(&model.name)
            && publisher.service.as_ref().is_some_and(|service| services.contains(service))
    }))
}

fn conflicts(
    wanted: &[(&str, Binding)],
    publishers: &[Publisher],
    listening: &[Binding],
    is_own: impl Fn(&Publisher) -> bool,
) -> Vec<String> {
    // What such a container listens on is seen as a program's; it goes away with the container.
    let on_host_network = publishers.iter().any(|publisher| publisher.on_host_network && is_own(publisher));
    let mut conflicts = Vec::new();
    for (service, binding) in wanted {
        let has_it = |publisher: &&Publisher| publisher.ports.iter().any(|port| port.collides(binding));
        let holder = match publishers.iter().filter(has_it).find(|publisher| !is_own(publisher)) {
            Some(publisher) => format!("the container {}", publisher.name),
            None if on_host_network || publishers.iter().any(|publisher| has_it(&publisher)) => continue,
            None if listening.iter().any(|listener| listener.collides(binding)) => "another program".to_owned(),
            None => continue,
        };
        conflicts.push(format!(
            "{holder} has the port {}, which the service {service} publishes: stop it, or let the compose file publish \
             another port",
            binding.port
        ));
    }
    conflicts
}

impl Port {
    /// The port of the host; nothing where Docker chooses one.
    fn binding(&self) -> Option<Binding> {
        let text = self.published.as_str().map(str::to_owned).or_else(|| Some(self.published.as_u64()?.to_string()))?;
        let port = text.parse().ok().filter(|port| *port != 0)?;
        let address = match self.host_ip.as_deref() {
            None | Some("") => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Some(address) => address.parse().ok()?,
        };
        let tcp = match self.protocol.as_deref() {
            None | Some("" | "tcp") => true,
            Some("udp") => false,
            Some(_) => return None,
        };
        Some(Binding { address, port, tcp })
    }
}

/// Whether the kernel tells windlass of the same ports as the engine: then it shows the engine's bridges, too. It does not
/// where windlass is in a container, or the engine on another host.
fn shares_the_network(networks: &[Network]) -> bool {
    let is_here = |name: &str| Path::new("/sys/class/net").join(name).exists();
    networks.iter().filter_map(|network| network.id.get(..12)).any(|id| is_here(&format!("br-{id}")))
}

/// What programs of this host listen on.
async fn listening() -> Vec<Binding> {
    let mut found = Vec::new();
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = tokio::fs::read_to_string(file).await.unwrap_or_default();
        found.extend(text.lines().filter_map(listener));
    }
    found
}

/// `  0: 0100007F:1F90 00000000:0000 0A …`: the address as the kernel has it in memory, and the state, which is 0A.
fn listener(line: &str) -> Option<Binding> {
    let mut words = line.split_whitespace().skip(1);
    let (address, port) = words.next()?.split_once(':')?;
    words.next()?;
    if words.next()? != "0A" {
        return None;
    }
    let port = u16::from_str_radix(port, 16).ok()?;
    let address = match address.len() {
        8 => IpAddr::from(u32::from_str_radix(address, 16).ok()?.to_le_bytes()),
        32 => {
            let mut bytes = [0_u8; 16];
            for (index, chunk) in bytes.chunks_mut(4).enumerate() {
                let word = u32::from_str_radix(address.get(index * 8..index * 8 + 8)?, 16).ok()?;
                chunk.copy_from_slice(&word.to_le_bytes());
            }
            IpAddr::from(bytes)
        }
        _ => return None,
    };
    Some(Binding { address, port, tcp: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::target::compose::model::tests::model;

    fn binding(address: &str, port: u16) -> Binding {
        Binding { address: address.parse().unwrap(), port, tcp: true }
    }

    fn publisher(name: &str, service: &str, ports: &[Binding]) -> Publisher {
        Publisher {
            name: name.to_owned(),
            project: Some("shop".to_owned()),
            service: Some(service.to_owned()),
            ports: ports.to_vec(),
            on_host_network: false,
        }
    }

    #[test]
    fn what_the_kernel_lists_is_read() {
        let v4 = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0";
        assert_eq!(listener(v4), Some(binding("127.0.0.1", 8080)));
        assert_eq!(listener(&v4.replace(" 0A ", " 01 ")), None, "a connection");
        let v6 = "   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0";
        assert_eq!(listener(v6), Some(binding("::1", 80)));
        assert_eq!(listener("  sl  local_address rem_address   st tx_queue"), None);
    }

    #[test]
    fn the_files_say_which_ports_of_the_host_are_wanted() {
        let model = model(
            r#"{"services":{"web":{"ports":[{"host_ip":"127.0.0.1","published":"8080","protocol":"tcp"},
            {"published":"9000","protocol":"udp"},{"target":80},{"published":"8000-8010"},{"published":90}]}}}"#,
        );
        let found: Vec<Binding> = model.services["web"].ports.iter().filter_map(Port::binding).collect();
        let udp = Binding { tcp: false, ..binding("0.0.0.0", 9000) };
        assert_eq!(found, [binding("127.0.0.1", 8080), udp, binding("0.0.0.0", 90)]);
    }

    #[test]
    fn a_port_of_somebody_else_is_told_and_ones_own_is_given_up() {
        let wanted = [("web", binding("127.0.0.1", 8080))];
        let is_own = |publisher: &Publisher| publisher.service.as_deref() == Some("web");
        let told = |publishers: &[Publisher], listening: &[Binding]| conflicts(&wanted, publishers, listening, is_own);
        let own = publisher("shop-web-1", "web", &[binding("0.0.0.0", 8080)]);
        let other = publisher("shop-other-1", "other", &[binding("0.0.0.0", 8080)]);
        let elsewhere = publisher("shop-other-1", "other", &[binding("127.0.0.2", 8080), binding("0.0.0.0", 80)]);
        let program = [binding("::", 8080)];

        assert_eq!(told(&[], &[]), [""; 0]);
        assert_eq!(told(std::slice::from_ref(&own), &program), [""; 0], "the engine's own program listens for it");
        assert_eq!(told(&[elsewhere], &[binding("127.0.0.1", 80)]), [""; 0]);
        let [one] = &told(&[own.clone(), other], &[])[..] else { panic!() };
        assert!(
            one.starts_with("the container shop-other-1 has the port 8080, which the service web publishes"),
            "{one}"
        );
        let [one] = &told(&[], &program)[..] else { panic!() };
        assert!(one.starts_with("another program has the port 8080"), "{one}");
        let on_host = Publisher { ports: Vec::new(), on_host_network: true, ..own };
        assert_eq!(told(&[on_host], &program), [""; 0], "it may be the one that listens");
    }
}
