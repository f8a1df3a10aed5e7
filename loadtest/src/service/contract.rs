//! Contracts: descriptors by server reflection, from .proto files, or from a descriptor set.

use std::path::{Path, PathBuf};

use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, ServiceDescriptor, Value};

use super::error::{ServiceError, nearest};

/// Methods that an error names at most.
const NAMED: usize = 8;

/// The source of a contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The server says it.
    #[default]
    Reflection,
    /// Files, and the folders that imports are looked for in.
    Proto {
        /// The files.
        files: Vec<PathBuf>,
        /// The folders.
        include: Vec<PathBuf>,
    },
    /// A `FileDescriptorSet`, as `protoc --descriptor_set_out` and `buf build` write it.
    Protoset(PathBuf),
}

impl Source {
    /// The contract in files; none if the server is to be asked.
    ///
    /// # Errors
    /// When a file cannot be read or compiled.
    pub fn read(&self) -> Result<Option<DescriptorPool>, ServiceError> {
        match self {
            Self::Reflection => Ok(None),
            Self::Proto { files, include } => compile(files, include).map(Some),
            Self::Protoset(path) => protoset(path).map(Some),
        }
    }
}

fn compile(files: &[PathBuf], include: &[PathBuf]) -> Result<DescriptorPool, ServiceError> {
    let mut include = include.to_vec();
    if include.is_empty() {
        // As if each were compiled where it stands.
        include.extend(files.iter().map(|file| match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        }));
        include.dedup();
    }
    let failed = |file: &Path, error: protox::Error| {
        let text = error.to_string().replace('\n', " ");
        let mend = match text.contains("import") || text.contains("not found") {
            true => "; -I DIR names the folder that imports start from",
            false => "",
        };
        ServiceError::input(format!(
            "--proto {} cannot be compiled: {text}{mend}",
            file.display()
        ))
    };
    let Some(first) = files.first() else {
        return Ok(DescriptorPool::new());
    };
    let mut compiler = protox::Compiler::new(&include).map_err(|error| failed(first, error))?;
    compiler.include_imports(true);
    for file in files {
        if !file.exists() && !include.iter().any(|folder| folder.join(file).exists()) {
            return Err(ServiceError::input(format!(
                "--proto {} is not there; name it as it is seen from here",
                file.display()
            )));
        }
        compiler
            .open_file(file)
            .map_err(|error| failed(file, error))?;
    }
    Ok(compiler.descriptor_pool())
}

fn protoset(path: &Path) -> Result<DescriptorPool, ServiceError> {
    let name = path.display();
    let bytes = std::fs::read(path).map_err(|error| {
        ServiceError::input(format!("--protoset {name} cannot be read: {error}"))
    })?;
    DescriptorPool::decode(&bytes[..]).map_err(|error| {
        ServiceError::input(format!(
            "--protoset {name} is no descriptor set with its imports: {error}; make one by protoc \
             --include_imports --descriptor_set_out, or by buf build -o"
        ))
    })
}

/// The names of the services in `pool` that are not gRPC's own.
pub fn services(pool: &DescriptorPool) -> Vec<ServiceDescriptor> {
    let is_own = |service: &ServiceDescriptor| !is_of_grpc(service.full_name());
    pool.services().filter(is_own).collect()
}

/// Returns true if a service is one that serves gRPC itself: reflection, health.
pub fn is_of_grpc(service: &str) -> bool {
    service.starts_with("grpc.reflection.") || service.starts_with("grpc.health.")
}

/// The method that `name` names: `package.Service/Method`, `package.Service.Method`, or the method alone
/// where no other has its name.
///
/// # Errors
/// When there is none such, with the nearest; or when it streams.
pub fn method(pool: &DescriptorPool, name: &str) -> Result<MethodDescriptor, ServiceError> {
    unary(&any_method(pool, name)?)
}

/// The same, even if it streams.
///
/// # Errors
/// When there is none such, with the nearest.
pub fn any_method(pool: &DescriptorPool, name: &str) -> Result<MethodDescriptor, ServiceError> {
    let all = || {
        services(pool)
            .into_iter()
            .flat_map(|service| service.methods().collect::<Vec<_>>())
    };
    let wanted = name.trim_start_matches('/');
    let is_it = |method: &MethodDescriptor| {
        let full = called(method);
        full == wanted || full.replace('/', ".") == wanted
    };
    let mut found: Vec<MethodDescriptor> = all().filter(is_it).collect();
    if found.is_empty() {
        // The end of it, such as `Orders/CreateOrder`.
        let ends = |method: &MethodDescriptor| {
            let full = called(method);
            let short = full.strip_suffix(wanted);
            short.is_some_and(|before| before.ends_with(['.', '/']))
        };
        found = all().filter(ends).collect();
    }
    match &found[..] {
        [one] => Ok(one.clone()),
        [] => Err(unknown(
            name,
            &all().map(|method| called(&method)).collect::<Vec<_>>(),
        )),
        several => Err(ServiceError::input(format!(
            "--grpc: {name} may be {}; write it in full",
            several.iter().map(called).collect::<Vec<_>>().join(" or ")
        ))),
    }
}

fn unknown(name: &str, all: &[String]) -> ServiceError {
    let known = match (nearest(name, all.iter().map(String::as_str)), all) {
        (Some(near), _) => format!("did you mean {near}?"),
        (None, []) => "the contract has no methods at all".to_owned(),
        (None, all) => format!(
            "there are {}{}",
            all[..all.len().min(NAMED)].join(", "),
            if all.len() > NAMED { " and others" } else { "" }
        ),
    };
    ServiceError::input(format!("--grpc: there is no method {name}; {known}"))
}

fn unary(method: &MethodDescriptor) -> Result<MethodDescriptor, ServiceError> {
    let streams = match (method.is_client_streaming(), method.is_server_streaming()) {
        (false, false) => return Ok(method.clone()),
        (true, false) => "requests",
        (false, true) => "replies",
        (true, true) => "both ways",
    };
    let service = method.parent_service();
    let mut others = service
        .methods()
        .filter(|other| !other.is_client_streaming() && !other.is_server_streaming());
    let other = others
        .next()
        .map_or_else(String::new, |other| format!(", such as {}", called(&other)));
    Err(ServiceError::input(format!(
        "--grpc: {} streams {streams}, and only calls of one message each way are measured; name a unary \
         method{other}",
        called(method)
    )))
}

/// `package.Service/Method`.
pub fn called(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

/// The same call over HTTP, by the option `google.api.http`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRule {
    /// The HTTP method.
    pub method: String,
    /// The template of the path.
    pub path: String,
    /// The part of the message that is the body.
    pub body: RuleBody,
    /// The field of the message that the reply is, if it is not the whole.
    pub response_body: Option<String>,
}

/// The part of a message that is the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleBody {
    /// Nothing: what the path does not take stands in the query.
    Nothing,
    /// All that the path does not take.
    Rest,
    /// One field; the others stand in the query.
    Field(String),
}

/// The HTTP rule of `method`; none if its contract has none.
pub fn http_rule(method: &MethodDescriptor) -> Option<HttpRule> {
    let pool = method.parent_pool();
    let extension = pool.get_extension_by_name("google.api.http")?;
    let options = method.options();
    if !options.has_extension(&extension) {
        return None;
    }
    let rule = options.get_extension(&extension);
    rule_of(rule.as_message()?)
}

fn rule_of(rule: &DynamicMessage) -> Option<HttpRule> {
    let text = |name: &str| {
        let value = rule.get_field_by_name(name)?;
        let text = value.as_str()?.to_owned();
        (!text.is_empty()).then_some(text)
    };
    let named = ["get", "put", "post", "delete", "patch"]
        .into_iter()
        .find_map(|verb| Some((verb.to_ascii_uppercase(), text(verb)?)));
    let (method, path) = match named {
        Some(named) => named,
        None => {
            let custom = rule.get_field_by_name("custom")?;
            let custom = custom.as_message()?;
            let text = |name: &str| match custom.get_field_by_name(name)?.as_ref() {
                Value::String(text) if !text.is_empty() => Some(text.clone()),
                _ => None,
            };
            (text("kind")?, text("path")?)
        }
    };
    let body = match text("body").as_deref() {
        None => RuleBody::Nothing,
        Some("*") => RuleBody::Rest,
        Some(field) => RuleBody::Field(field.to_owned()),
    };
    Some(HttpRule {
        method,
        path,
        body,
        response_body: text("response_body"),
    })
}
