//! The pieces pages are made of. They know figures, roles and cells; they know
//! neither a page nor a colour.

pub mod badge;
pub mod canvas;
pub mod dialog;
pub mod figures;
pub mod graph;
pub mod load_line;
pub mod meter;
pub mod table;
