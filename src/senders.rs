//! What the payload of a sender asks for, where it is not windlass' own: one file a sender.

pub mod docker_puller;
