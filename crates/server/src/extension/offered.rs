//! What extensions see of a server that is being built.

use anypod_proto::{resources, tools};

use crate::resource::{Resource, ResourceTemplate};
use crate::tool::Tool;

/// What a server offers, for [`Extension::check`](crate::Extension::check).
#[derive(Clone, Copy)]
pub struct Offered<'a> {
    tools: &'a [Tool],
    resources: &'a [Resource],
    templates: &'a [ResourceTemplate],
}

impl<'a> Offered<'a> {
    pub(crate) const fn new(tools: &'a [Tool], resources: &'a [Resource], templates: &'a [ResourceTemplate]) -> Self {
        Self { tools, resources, templates }
    }

    /// Its tools, as lists have them.
    pub fn tools(&self) -> impl Iterator<Item = &'a tools::Tool> + use<'a> {
        self.tools.iter().map(|tool| &tool.definition)
    }

    /// Its resources, as lists have them.
    pub fn resources(&self) -> impl Iterator<Item = &'a resources::Resource> + use<'a> {
        self.resources.iter().map(|resource| &resource.definition)
    }

    /// Its families of resources, as lists have them.
    pub fn templates(&self) -> impl Iterator<Item = &'a resources::ResourceTemplate> + use<'a> {
        self.templates.iter().map(|template| &template.definition)
    }
}

impl std::fmt::Debug for Offered<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offered").field("tools", &self.tools.len()).finish_non_exhaustive()
    }
}
