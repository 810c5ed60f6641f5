//! Networks, layouts, programs and their interpreters.
