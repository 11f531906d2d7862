//! The page in a real browser, and the server under attack.

mod attacks;
mod browser;
mod chromium;
mod client;
mod routes;
mod videos;
