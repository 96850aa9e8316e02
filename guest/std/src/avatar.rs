// SPDX-License-Identifier: AGPL-3.0-or-later
//! A user in the space: the eye, the controls, and the body that others see.
//!
//! The eye is an entity of local scope, set before every picture. The body is shared: it is set at most
//! twenty times a second, and only when it has moved. Without a picture (a bot, a test) there is a
//! body alone.
//!
//! Arguments: `at X Y Z YAW`, metres and radians: where the eye is at first, and how far it is turned
//! left from looking along −Z. Send it `{"go": {"at": [0, 1.7, 3], "yaw": 0.5, "pitch": 0}}` to move it, and
//! call it with `"eye"` for the id of the eye's entity. A script that takes clicks and the wheel for something
//! that the user points at sends `{"busy": true}` meanwhile, and `{"busy": false}` after. What the workshop said
//! is forgotten when it ends.

mod body;
mod controls;
mod panel;
pub mod walk;

use crate::place::EXPOSURE_EV100;
use controls::{Controls, Wish};
use hearth_sdk::{abi::input::Event, peer_name, prelude::*, process::whereis, time};
use panel::Panel;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Least time from one move of the body to the next.
const BODY_STEP: Duration = Duration::from_millis(50);
/// So many scripts may have the user's hands; what more of them say is not heard.
const BUSY_MAX: usize = 16;
/// The service that has them mostly.
const WORKSHOP: &str = "workshop";
/// The body floats this far behind the eye and below it, so that it is not in its own way.
const BODY_BEHIND: f32 = 0.32;
const BODY_BELOW: f32 = 0.1;

/// What others may ask of it.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    Go {
        at: [f32; 3],
        #[serde(default)]
        yaw: f32,
        #[serde(default)]
        pitch: f32,
    },
    /// The hands are at something else: clicks and the wheel are not for the flight.
    Busy(bool),
    /// Which entity is the eye? Answered by the number of its id, 0 without a picture.
    Eye,
}

/// Where the eye is and looks.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pose {
    at: Vec3,
    yaw: f32,
    pitch: f32,
}

impl Pose {
    /// As the arguments say; else on the steps of the place, beside those who came before.
    fn first(args: &[String]) -> Pose {
        let numbers: Vec<f32> = args.iter().skip(1).map_while(|arg| arg.parse().ok()).collect();
        if let ([x, y, z, rest @ ..], true) = (&numbers[..], args.first().is_some_and(|arg| arg == "at"))
            && numbers.iter().all(|number| number.is_finite())
        {
            return Pose { at: vec3(*x, *y, *z), yaw: rest.first().copied().unwrap_or(0.0), pitch: 0.0 };
        }
        let seat = peer().number().saturating_sub(1) % 7;
        let side = [0.0, 1.5, -1.5, 3.0, -3.0, 0.75, -0.75][seat as usize];
        let at = vec3(side, 1.7, if seat > 4 { 7.2 } else { 6.0 });
        Pose { at, yaw: at.x.atan2(at.z), pitch: 0.0 }
    }

    fn eye(&self) -> Transform {
        scene::pose(self.at, Quat::yaw_pitch_roll(self.yaw, self.pitch, 0.0))
    }

    /// Where the body is. Between two of its steps the eye may come backwards at `speed`; the body
    /// makes room for that.
    fn body(&self, speed: Vec3) -> Transform {
        let turn = Quat::yaw_pitch_roll(self.yaw, 0.0, 0.0);
        let back = turn.rotate(Vec3::Z);
        let room = BODY_BEHIND + speed.dot(back).max(0.0) * BODY_STEP.as_secs_f32() * 1.3;
        // It nods where the eye looks.
        let nod = turn * Quat::about(Vec3::X, self.pitch * 0.4);
        scene::pose(self.at + back * room - Vec3::Y * BODY_BELOW, nod)
    }
}

/// Shows the user, and follows what they do.
///
/// # Errors
/// The scene does not take the avatar.
pub async fn run() -> Result<(), Error> {
    let mut pose = Pose::first(&args());
    let name = peer_name(peer()).unwrap_or_else(|| format!("peer {}", peer()));
    let body = body::make(&name, peer().number(), pose.body(Vec3::ZERO))?;
    let input = match Input::subscribe(input::mask::ALL) {
        Ok(input) => input,
        Err(errno) => {
            // Bots have no picture, and whoever spawned this on another peer has no keys there.
            info!("{name} is here, without controls: {errno}");
            loop {
                let order = recv::<Order>().await;
                match order.body {
                    Order::Go { at, yaw, pitch } => {
                        pose = Pose { at: at.into(), yaw, pitch };
                        scene::set(body, pose.body(Vec3::ZERO))?;
                    }
                    Order::Eye => answer(&order, 0),
                    Order::Busy(_) => {}
                }
            }
        }
    };
    info!("{name} is here");
    User::new(pose, body)?.follow(input).await
}

/// Answers who asked; if they are gone, nobody misses it.
fn answer(order: &Envelope<Order>, number: u64) {
    order.reply(&number).unwrap_or_else(|error| debug!("{}: {error}", order.from));
}

/// A user with a picture.
struct User {
    pose: Pose,
    speed: Vec3,
    eye: EntityId,
    eye_shown: Transform,
    body: EntityId,
    body_shown: Transform,
    body_moved: Duration,
    controls: Controls,
    panel: Panel,
    /// The scripts that have the user's hands.
    busy: BTreeSet<ProcessId>,
    /// The workshop, if it is one of them.
    workshop: Option<ProcessId>,
}

impl User {
    fn new(pose: Pose, body: EntityId) -> Result<User, Error> {
        let mut batch = Batch::new();
        let camera = Camera { exposure_ev100: EXPOSURE_EV100, ..Camera::default() };
        let eye = Entity::new().local().name("eye").with(pose.eye()).with(camera).add_to(&mut batch);
        let panel = Panel::make(eye, &mut batch)?;
        batch.commit()?;
        Ok(User {
            pose,
            speed: Vec3::ZERO,
            eye,
            eye_shown: pose.eye(),
            body,
            body_shown: pose.body(Vec3::ZERO),
            body_moved: time::monotonic(),
            controls: Controls::default(),
            panel,
            busy: BTreeSet::new(),
            workshop: None,
        })
    }

    async fn follow(mut self, mut input: Input) -> Result<(), Error> {
        loop {
            match race(input.next(), recv::<Order>()).await {
                Either::Left(Event::Frame { step_ns, .. }) => self.frame(step_ns as f32 * 1e-9)?,
                Either::Left(event) => match self.controls.take(&event) {
                    Some(Wish::Capture(on)) => {
                        if let Err(errno) = input::capture_pointer(on) {
                            warn!("the pointer stays as it is: {errno}");
                        }
                    }
                    Some(Wish::Keys) => self.panel.toggle()?,
                    Some(Wish::Greet) => self.panel.greet(),
                    Some(Wish::Terminal) => self.panel.settle()?,
                    None => {}
                },
                Either::Right(order) => match order.body {
                    Order::Go { at, yaw, pitch } => {
                        self.pose = Pose { at: at.into(), yaw, pitch };
                        self.speed = Vec3::ZERO;
                        self.show()?;
                    }
                    Order::Busy(busy) => self.set_busy(order.from, busy)?,
                    Order::Eye => answer(&order, self.eye.to_bits()),
                },
            }
        }
    }

    /// A script has the user's hands, or has them no more.
    fn set_busy(&mut self, who: ProcessId, busy: bool) -> Result<(), Error> {
        if !busy {
            self.busy.remove(&who);
        } else if self.busy.len() < BUSY_MAX {
            self.busy.insert(who);
            self.workshop = whereis(WORKSHOP).filter(|workshop| *workshop == who).or(self.workshop);
            // There is a terminal already.
            self.panel.settle()?;
        }
        self.controls.set_busy(!self.busy.is_empty());
        Ok(())
    }

    /// Forgets what a workshop said that has ended since: nobody else takes it back.
    fn forget_ended(&mut self) {
        if let Some(ended) = self.workshop.filter(|said| whereis(WORKSHOP) != Some(*said)) {
            self.workshop = None;
            self.busy.remove(&ended);
            self.controls.set_busy(!self.busy.is_empty());
        }
    }

    /// Moves on by this many seconds, and shows it.
    fn frame(&mut self, step: f32) -> Result<(), Error> {
        self.forget_ended();
        if self.controls.captures_now()
            && let Err(errno) = input::capture_pointer(true)
        {
            warn!("the pointer stays free: {errno}");
        }
        // After a long pause: not through the next wall.
        let step = step.clamp(0.0, 0.1);
        let [right, up] = self.controls.turn(step);
        self.pose.yaw = (self.pose.yaw - right) % std::f32::consts::TAU;
        self.pose.pitch = (self.pose.pitch + up).clamp(-1.54, 1.54);
        let ahead = Quat::yaw_pitch_roll(self.pose.yaw, self.pose.pitch, 0.0);
        let wish = self.controls.speed();
        // Up and down are the world's, whatever the eye looks at.
        let wish = ahead.rotate(vec3(wish.x, 0.0, wish.z)) + Vec3::Y * wish.y;
        self.speed = self.speed.lerp(wish, 1.0 - (-12.0 * step).exp());
        if wish == Vec3::ZERO && self.speed.length() < 0.01 {
            self.speed = Vec3::ZERO;
        }
        self.pose.at += self.speed * step;
        self.show()
    }

    /// Sets what has changed: the eye at once, the body at its own pace.
    fn show(&mut self) -> Result<(), Error> {
        let mut batch = Batch::new();
        let eye = self.pose.eye();
        if eye != self.eye_shown {
            self.eye_shown = eye;
            batch.set(self.eye, eye);
        }
        let (body, now) = (self.pose.body(self.speed), time::monotonic());
        if body != self.body_shown && now >= self.body_moved + BODY_STEP {
            self.body_shown = body;
            self.body_moved = now;
            batch.set(self.body, body);
        }
        batch.commit()
    }
}
