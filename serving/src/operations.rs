//! The two services that operators expect beside any gRPC service: health and reflection.

mod health;
mod reflection;

use std::sync::Arc;

use prost::Message;
use prost_types::{FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto};
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::pb::{v1, v1::server_reflection_server::ServerReflectionServer, v1alpha};

pub use health::Health;
use reflection::{Alpha, Index, Reflection};

/// The call that has no longest time: it waits for news, and whoever makes it has nobody else to ask.
pub(crate) const WATCH: &str = "/grpc.health.v1.Health/Watch";

const BUILT: &str = "the descriptor set was made by this build";

/// The paths of every method in `descriptors`, health and reflection included: what metrics count by
/// name.
///
/// # Panics
/// When `descriptors` is not a descriptor set, which only a broken build can cause.
pub fn paths(descriptors: &[u8]) -> Vec<String> {
    let sets = [
        descriptors,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        v1::FILE_DESCRIPTOR_SET,
        v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let mut paths = Vec::new();
    for set in sets {
        let files = FileDescriptorSet::decode(set).expect(BUILT).file;
        for file in &files {
            for service in &file.service {
                let methods = service.method.iter();
                paths.extend(methods.map(|method| path(file.package(), service, method)));
            }
        }
    }
    paths
}

/// The path of `method`, which is `/package.Service/Method`, or `/Service/Method` without a package.
pub(crate) fn path(
    package: &str,
    service: &ServiceDescriptorProto,
    method: &MethodDescriptorProto,
) -> String {
    let dot = if package.is_empty() { "" } else { "." };
    format!("/{package}{dot}{}/{}", service.name(), method.name())
}

/// Health (`grpc.health.v1`) and reflection (v1 and v1alpha, as tools still ask for either) for `services`, by
/// the names of their contracts, which are the encoded `FileDescriptorSet` `descriptors`. Reflection knows the
/// details of errors (`google.rpc`) too, so that tools can show them.
///
/// Health tells the state that `health` has, to which `services` are made known. A `Watch` of another service is
/// told that it is unknown, and goes on. A listener that waits for the shutdown of `health` closes no `Watch`
/// before it said NOT_SERVING.
///
/// # Panics
/// When `descriptors` is not a descriptor set, which only a broken build can cause.
pub fn routes(health: &Health, services: &[&str], descriptors: &[u8]) -> Routes {
    for service in services {
        health.add(service);
    }
    let sets = [
        descriptors,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_types::pb::FILE_DESCRIPTOR_SET,
        v1::FILE_DESCRIPTOR_SET,
        v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let index = Arc::new(Index::new(&sets).expect(BUILT));
    let reflection = ServerReflectionServer::new(Reflection(index));
    Routes::new(HealthServer::new(health.clone()))
        .add_service(reflection.clone())
        .add_service(Alpha(reflection))
}
