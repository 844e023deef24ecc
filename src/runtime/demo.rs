//! An Ollama that does not exist, on the machine that does not exist either.
//! Its time is the demo sensors': it answers what is so when it is asked.

use std::time::Duration;

use crate::domain::fault::{RuntimeFault, RuntimeFaultKind};
use crate::domain::model::{InstalledModel, LoadedModel, ModelDetails, ModelName};
use crate::simulation::{OLLAMA_VERSION, SharedWorld, URL};

use super::{Answer, Endpoint, Generated, LoadOptions, Prompt, Runtime};

/// How often a load in progress looks whether it is through. The world moves
/// with the sensors, some times a second at most.
const LOOK: Duration = Duration::from_millis(200);

/// The simulated model server.
pub struct DemoRuntime {
    world: SharedWorld,
    endpoint: Endpoint,
}

impl DemoRuntime {
    pub fn new(world: SharedWorld) -> Self {
        let endpoint = Endpoint { shown_url: URL.to_owned(), is_loopback: true, port: 11434 };
        DemoRuntime { world, endpoint }
    }
}

impl Runtime for DemoRuntime {
    fn kind(&self) -> &'static str {
        "ollama"
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn version(&self) -> Answer<String> {
        Box::pin(std::future::ready(Ok(OLLAMA_VERSION.to_owned())))
    }

    fn loaded(&self) -> Answer<Vec<LoadedModel>> {
        let world = self.world.clone();
        Box::pin(async move { Ok(world.with(|world| world.loaded())) })
    }

    fn installed(&self) -> Answer<Vec<InstalledModel>> {
        let world = self.world.clone();
        Box::pin(async move { Ok(world.with(|world| world.installed())) })
    }

    fn details(&self, model: &ModelName) -> Answer<ModelDetails> {
        let (world, model) = (self.world.clone(), model.clone());
        Box::pin(async move { world.with(|world| world.details(&model)) })
    }

    fn unload(&self, model: &ModelName) -> Answer<()> {
        let (world, model) = (self.world.clone(), model.clone());
        Box::pin(async move { world.with(|world| world.unload(&model)) })
    }

    fn load(&self, model: &ModelName, options: LoadOptions) -> Answer<()> {
        let (world, model) = (self.world.clone(), model.clone());
        Box::pin(async move { load(world, model, options).await })
    }

    fn generate(&self, _model: &ModelName, _prompt: Prompt) -> Answer<Generated> {
        let detail = "a simulated model writes nothing";
        let fault = RuntimeFault::new(RuntimeFaultKind::NotAllowed, detail);
        Box::pin(std::future::ready(Err(fault)))
    }
}

async fn load(
    world: SharedWorld,
    model: ModelName,
    options: LoadOptions,
) -> Result<(), RuntimeFault> {
    world.with(|world| world.load(&model, options.keep, options.context))?;
    let mut wait = Wait { world, model, is_over: false };
    loop {
        let (is_loaded, is_loading) =
            wait.world.with(|world| (world.is_loaded(&wait.model), world.is_loading(&wait.model)));
        if is_loaded || !is_loading {
            wait.is_over = true;
            let fault = || {
                let detail = "the load was cut off by the server";
                RuntimeFault::new(RuntimeFaultKind::Broken, detail)
            };
            return if is_loaded { Ok(()) } else { Err(fault()) };
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Somebody who waits for a load: when they go away, it is cut off.
struct Wait {
    world: SharedWorld,
    model: ModelName,
    is_over: bool,
}

impl Drop for Wait {
    fn drop(&mut self) {
        if !self.is_over {
            self.world.with(|world| world.cut_off_load(&self.model));
        }
    }
}
