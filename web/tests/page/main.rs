//! The page in a real browser, and the server under attack.

mod attacks;
mod browser;
mod chromium;
mod client;
mod directions;
mod endurance;
mod explanations;
mod keyboard;
mod newcomer;
mod previews;
mod process;
mod routes;
mod scores;
mod speed;
mod videos;
