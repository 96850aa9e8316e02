// SPDX-License-Identifier: AGPL-3.0-or-later
//! A user in the space: the eye, the controls, and the body that others see.
//!
//! The eye is an entity of local scope, set before every picture. The body is shared: it is set at most
//! twenty times a second, and only when it has moved. Without a picture (a bot, a test) there is a
//! body alone.
//!
//! The user walks where there is ground, held up by it and stopped by walls, which casts tell of; or flies,
//! through everything. At first, and where it was sent, it stays as it is until there is ground right below the feet, or
//! until it is to move.
//!
//! Arguments: `at X Y Z YAW`, metres and radians: where the eye is at first, and how far it is turned
//! left from looking along −Z. Send it `{"go": {"at": [0, 1.7, 3], "yaw": 0.5, "pitch": 0}}` to move it, and
//! call it with `"eye"` for the id of the eye's entity. A script that takes clicks and the wheel for something
//! that the user points at sends `{"busy": true}` meanwhile, and `{"busy": false}` after. What the workshop said
//! is forgotten when it ends. A script that the user types into sends `{"typing": MILLISECONDS}` again and again:
//! for so long keys are not for the flight; 0 gives them back.
//! `{"fov": 1.2}` says how much is seen from the bottom to the top of the picture, in radians, 0.1 to 2.5. The client
//! says that as its user has set it, when it is asked at the start.
//! `{"model": LUMP}` or `{"model": {"lump": LUMP, "height": 1.8, "clips": LUMP}}` makes a glTF model the
//! body, which moves with its own clips or with those of another file; `{"model": null}` makes it the default figure again. A
//! script calls [`wear`] or [`wear_with`] for that.

mod body;
mod controls;
mod figure;
mod legs;
mod model;
mod panel;
mod pointing;
pub mod walk;

use crate::{
    lobby::{PROGRAM, words::Ask},
    place::EXPOSURE_EV100,
    workshop::ray::Ray,
};
use body::{Body, Stance, Way, Worn};
use controls::{Controls, Wish};
use hearth_sdk::{abi::input::Event, peer_name, prelude::*, process::whereis, time};
use legs::{Legs, Question};
use model::Rig;
use panel::Panel;
use pointing::Pointing;
use serde::{Deserialize, Serialize};
use std::{cell::RefCell, collections::BTreeSet, rc::Rc};
use walk::{Ball, EYE, Fate, STEP, Walk};

/// So many scripts may have the user's hands; what more of them say is not heard.
const BUSY_MAX: usize = 16;
/// The longest that a script has the keyboard without asking again.
const TYPING_MAX: Duration = Duration::from_secs(10);
/// The service that has them mostly.
const WORKSHOP: &str = "workshop";
/// The service that this is.
const AVATAR: &str = "avatar";
/// Heights in metres that a model may be scaled to.
const HEIGHTS: [f32; 2] = [0.1, 20.0];
/// Of how much is seen, in radians.
const FOV: [f32; 2] = [0.1, 2.5];
/// Until it is decided whether the user walks: how often the ground is looked for, and how long.
const LOOK_EVERY: f32 = 0.25;
const LOOK_FOR: f32 = 10.0;
/// An eye as high above the ground as this stands there, whether it is to move or not; and one that is to move.
const STANDS: f32 = 0.06;
const REACHES: [f32; 2] = [0.9, 3.0];
/// How far down there may be ground for who wants to walk.
const FAR_DOWN: f32 = 500.0;
/// Per second: how fast the eye comes to where it belongs above the feet.
const SETTLES: f32 = 7.0;
/// So long without ground is a fall or a jump for those who see it.
const FALLS: f32 = 0.12;

const WALKING: &str = "on foot: Space jumps, F flies";
const FLYING: &str = "in flight: Space and C go up and down, F walks";
const NO_GROUND: &str = "there is no ground below to walk on";

/// What others may ask of it.
#[derive(Deserialize, Serialize)]
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
    /// The keyboard is at something else for so many milliseconds, at most 10 s.
    Typing(u64),
    /// Which entity is the eye? Answered by the number of its id, 0 without a picture.
    Eye,
    /// Wear this model, or the default figure.
    Model(Option<Wear>),
    /// See so much from the bottom to the top of the picture, in radians.
    Fov(f32),
}

/// A model, as it is said in messages.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Wear {
    Lump(String),
    Sized {
        lump: String,
        height: Option<f32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clips: Option<String>,
    },
}

impl Wear {
    fn read(self) -> Result<Worn, Error> {
        let (lump, height, clips) = match self {
            Wear::Lump(lump) => (lump, None, None),
            Wear::Sized { lump, height, clips } => (lump, height, clips),
        };
        let [least, most] = HEIGHTS;
        if height.is_some_and(|height| !(least..=most).contains(&height)) {
            return Err(Error::new(Errno::Invalid, format!("a height is {least} to {most} metres")));
        }
        let invalid = |what: &str| Error::new(Errno::Invalid, what);
        let model = lump.parse().map_err(|_error| invalid("a model is a lump's id"))?;
        let clips = clips.map(|clips| clips.parse()).transpose();
        let clips = clips.map_err(|_error| invalid("clips are a lump's id"))?;
        Ok(Worn { model, height, clips })
    }
}

/// Makes a glTF model the avatar of this peer's user, for all to see: as high as it is made, or this many metres. Its clips
/// are found by their names (idle, walk, run, jump, fly, or what else these are called), and its head by its node's. `None`
/// is the default figure.
///
/// ```
/// # use hearth_sdk::prelude::*;
/// # use hearth_std::avatar;
/// # fn dress(fox: LumpId) -> Result<(), Error> {
/// avatar::wear(Some(fox), Some(1.1))?;
/// avatar::wear(None, None)
/// # }
/// # assert_eq!(dress(LumpId([1; 32])).unwrap_err().errno, Errno::NotFound);
/// ```
///
/// # Errors
/// [`Errno::NotFound`] if no avatar runs on this peer; else as [`hearth_sdk::send`]. What is wrong with a model is
/// in the avatar's log.
pub fn wear(model: Option<LumpId>, height: Option<f32>) -> Result<(), Error> {
    order(Order::Model(model.map(|lump| Wear::Sized { lump: lump.to_string(), height, clips: None })))
}

/// The same with the clips of another file, a lump of class `Animation`, whose nodes have the names of the model's: a hundred
/// figures share what they can do.
///
/// ```
/// # use hearth_sdk::prelude::*;
/// # use hearth_std::avatar;
/// # fn dress(knight: LumpId, moves: LumpId) -> Result<(), Error> {
/// avatar::wear_with(knight, Some(1.8), moves)
/// # }
/// # assert_eq!(dress(LumpId([1; 32]), LumpId([2; 32])).unwrap_err().errno, Errno::NotFound);
/// ```
///
/// # Errors
/// Those of [`wear`].
pub fn wear_with(model: LumpId, height: Option<f32>, clips: LumpId) -> Result<(), Error> {
    let clips = Some(clips.to_string());
    order(Order::Model(Some(Wear::Sized { lump: model.to_string(), height, clips })))
}

fn order(order: Order) -> Result<(), Error> {
    let avatar = whereis(AVATAR).ok_or_else(|| Error::new(Errno::NotFound, "no avatar runs here"))?;
    hearth_sdk::send(avatar, &order)
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

    /// Who stands there.
    fn stance(&self) -> Stance {
        Stance::still(self.at, self.yaw, self.pitch)
    }
}

/// Shows the user, and follows what they do.
///
/// # Errors
/// The scene does not take the avatar.
pub async fn run() -> Result<(), Error> {
    let mut pose = Pose::first(&args());
    let name = peer_name(peer()).unwrap_or_else(|| format!("peer {}", peer()));
    let mut body = Body::make(&name, peer().number(), &pose.stance())?;
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
                        let mut batch = Batch::new();
                        body.leap(yaw);
                        body.follow(&pose.stance(), 0.0, time::monotonic(), &mut batch);
                        batch.commit()?;
                    }
                    Order::Eye => answer(&order, 0),
                    Order::Busy(_) | Order::Typing(_) | Order::Fov(_) => {}
                    Order::Model(wear) => put_on(&mut body, choose(wear).await)?,
                }
            }
        }
    };
    info!("{name} is here");
    // A client with a first screen knows how its user wants to see. One that begins to speak later says it then.
    if let Some(program) = whereis(PROGRAM) {
        hearth_sdk::send(program, &Ask::Hello).unwrap_or_else(|error| debug!("{program}: {error}"));
    }
    User::new(pose, body)?.follow(input).await
}

/// For how long a script that the user types into has the keyboard. Who ends without a word does not keep it.
pub(crate) fn typing(millis: u64) -> Duration {
    Duration::from_millis(millis).min(TYPING_MAX)
}

/// Answers who asked; if they are gone, nobody misses it.
fn answer(order: &Envelope<Order>, number: u64) {
    order.reply(&number).unwrap_or_else(|error| debug!("{}: {error}", order.from));
}

/// What is to be worn, and what is known of it.
type Chosen = Result<Option<(Worn, Rig)>, Error>;

async fn choose(wear: Option<Wear>) -> Chosen {
    let Some(wear) = wear else { return Ok(None) };
    let worn = wear.read()?;
    let model = Model::of(worn.model).await?;
    let mut rig = Rig::of(&model);
    if let Some(clips) = worn.clips {
        rig.lend(&Model::of(clips).await?, clips);
    }
    Ok(Some((worn, rig)))
}

fn put_on(body: &mut Body, chosen: Chosen) -> Result<(), Error> {
    match chosen {
        Ok(None) => body.wear(None),
        Ok(Some((worn, rig))) => {
            info!("wears {}", worn.model);
            body.wear(Some((&worn, rig)))
        }
        Err(error) => {
            warn!("the body stays as it is: {error}");
            Ok(())
        }
    }
}

/// How the user gets about.
enum Mode {
    /// As flight, until ground is found.
    Undecided {
        looked: f32,
        left: f32,
    },
    Walks {
        legs: Legs,
        airborne: f32,
    },
    Flies,
}

impl Mode {
    const UNDECIDED: Mode = Mode::Undecided { looked: LOOK_EVERY, left: LOOK_FOR };
}

/// A user with a picture.
struct User {
    pose: Pose,
    speed: Vec3,
    mode: Mode,
    /// Where the ground is.
    ground: Question,
    /// Whether ground is wanted by who flies.
    lands: bool,
    /// How far the eye is from where it belongs above the feet.
    lift: f32,
    eye: EntityId,
    eye_shown: Transform,
    camera: Camera,
    body: Body,
    pointing: Pointing,
    controls: Controls,
    panel: Panel,
    /// The model that was chosen last, once it is there, and how often one was.
    chosen: Rc<RefCell<(u32, Option<Chosen>)>>,
    /// The scripts that have the user's hands.
    busy: BTreeSet<ProcessId>,
    /// The workshop, if it is one of them.
    workshop: Option<ProcessId>,
}

impl User {
    fn new(pose: Pose, body: Body) -> Result<User, Error> {
        let mut batch = Batch::new();
        let camera = Camera { exposure_ev100: EXPOSURE_EV100, ..Camera::default() };
        let eye = Entity::new().local().name("eye").with(pose.eye()).with(camera).add_to(&mut batch);
        let panel = Panel::make(eye, &mut batch)?;
        batch.commit()?;
        Ok(User {
            pose,
            speed: Vec3::ZERO,
            mode: Mode::UNDECIDED,
            ground: Question::default(),
            lands: false,
            lift: 0.0,
            eye,
            eye_shown: pose.eye(),
            camera,
            body,
            pointing: Pointing::new(peer().number()),
            controls: Controls::default(),
            panel,
            chosen: Rc::default(),
            busy: BTreeSet::new(),
            workshop: None,
        })
    }

    async fn follow(mut self, mut input: Input) -> Result<(), Error> {
        loop {
            match race(input.next(), recv::<Order>()).await {
                Either::Left(Event::Frame { step_ns, .. }) => self.frame(step_ns as f32 * 1e-9)?,
                Either::Left(event) => self.hear(&event)?,
                Either::Right(order) => match order.body {
                    Order::Go { at, yaw, pitch } => {
                        self.pose = Pose { at: at.into(), yaw, pitch };
                        self.stay();
                        self.body.leap(yaw);
                        self.show(0.0)?;
                    }
                    Order::Busy(busy) => self.set_busy(order.from, busy)?,
                    Order::Typing(millis) => self.controls.set_typing(time::monotonic() + typing(millis)),
                    Order::Eye => answer(&order, self.eye.to_bits()),
                    Order::Model(wear) => self.choose(wear),
                    Order::Fov(fov) => self.see(order.from, fov)?,
                },
            }
        }
    }

    /// Sees more or less of the space.
    fn see(&mut self, who: ProcessId, fov: f32) -> Result<(), Error> {
        let [least, most] = FOV;
        if !(least..=most).contains(&fov) {
            warn!("{who}: a field of view is {least} to {most} radians, not {fov}");
            return Ok(());
        }
        self.camera.fov_y = fov;
        scene::set(self.eye, self.camera)
    }

    /// The user does something.
    fn hear(&mut self, event: &Event) -> Result<(), Error> {
        match self.controls.take(event, time::monotonic()) {
            Some(Wish::Capture(on)) => {
                if let Err(errno) = input::capture_pointer(on) {
                    warn!("the pointer stays as it is: {errno}");
                }
            }
            Some(Wish::Keys) => self.panel.toggle()?,
            Some(Wish::Greet) => self.panel.greet(),
            Some(Wish::Terminal) => self.panel.settle()?,
            Some(Wish::Fly) => self.toggle()?,
            None => {}
        }
        // The end of a beam does not wait for a picture.
        if self.controls.points() { Ok(()) } else { self.point() }
    }

    /// Is where it was sent, at rest.
    fn stay(&mut self) {
        self.speed = Vec3::ZERO;
        self.lift = 0.0;
        self.ground.forget();
        self.lands = false;
        // Who flies goes on flying.
        if !matches!(self.mode, Mode::Flies) {
            self.mode = Mode::UNDECIDED;
        }
    }

    /// Looks at a model; of several the last is worn.
    fn choose(&mut self, wear: Option<Wear>) {
        let chosen = Rc::clone(&self.chosen);
        let number = {
            let mut chosen = chosen.borrow_mut();
            *chosen = (chosen.0.wrapping_add(1), None);
            chosen.0
        };
        spawn_local(async move {
            let this = choose(wear).await;
            let mut chosen = chosen.borrow_mut();
            if chosen.0 == number {
                chosen.1 = Some(this);
            }
        });
    }

    /// From feet to wings, or back.
    fn toggle(&mut self) -> Result<(), Error> {
        if matches!(self.mode, Mode::Flies) {
            self.ground.forget();
            self.lands = true;
            return Ok(());
        }
        self.fly(FLYING)
    }

    fn fly(&mut self, why: &str) -> Result<(), Error> {
        self.mode = Mode::Flies;
        self.lands = false;
        self.lift = 0.0;
        self.ground.forget();
        self.panel.say(why)
    }

    /// Walks from where the eye is, on ground of this height.
    fn walk(&mut self, ground: f32) {
        let feet = self.pose.at - Vec3::Y * EYE;
        let speed = Vec3 { y: 0.0, ..self.speed };
        let high = feet.y - ground;
        let walk = if high > STEP {
            self.lift = 0.0;
            Walk::new(feet, self.speed)
        } else {
            self.lift = high;
            Walk::standing(Vec3 { y: ground, ..feet }, speed)
        };
        self.mode = Mode::Walks { legs: Legs::new(walk, self.body.root()), airborne: 0.0 };
        self.lands = false;
        self.ground.forget();
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
        let chosen = self.chosen.borrow_mut().1.take();
        if let Some(chosen) = chosen {
            put_on(&mut self.body, chosen)?;
            self.pointing.let_go();
        }
        // After a long pause: not through the next wall.
        let step = step.clamp(0.0, 0.1);
        let [right, up] = self.controls.turn(step);
        self.pose.yaw = (self.pose.yaw - right) % std::f32::consts::TAU;
        self.pose.pitch = (self.pose.pitch + up).clamp(-1.54, 1.54);
        self.look_down(step)?;
        match self.mode {
            Mode::Walks { .. } => self.stride(step)?,
            _ => self.soar(step),
        }
        self.show(step)?;
        self.point()
    }

    /// Finds the ground, if it is not decided yet whether there is one to walk on.
    fn look_down(&mut self, step: f32) -> Result<(), Error> {
        let moves = self.controls.moves();
        let answer = self.ground.take();
        let is_seeking = match &mut self.mode {
            Mode::Walks { .. } => return Ok(()),
            Mode::Flies => {
                if let (true, Some((_, met))) = (self.lands, &answer) {
                    self.lands = false;
                    return match met {
                        Ok(Some(hit)) => {
                            self.walk(hit.point[1]);
                            self.panel.say(WALKING)
                        }
                        _ => self.panel.say(NO_GROUND),
                    };
                }
                self.lands
            }
            Mode::Undecided { looked, left } => {
                // Without keys there is time: the scene may still be on its way.
                *left -= if moves { step } else { 0.0 };
                *looked += step;
                let is_over = *left <= 0.0 || self.controls.soars();
                let is_due = *looked >= LOOK_EVERY || moves;
                match answer {
                    Some((_, Err(_))) => self.mode = Mode::Flies,
                    Some((asked, Ok(Some(hit)))) => {
                        let high = asked.from.y - hit.point[1];
                        let [low, far] = REACHES;
                        let stands = (high - EYE).abs() <= STANDS;
                        if stands || moves && (low..=far).contains(&high) && !is_over {
                            self.walk(hit.point[1]);
                            return Ok(());
                        }
                    }
                    _ => {}
                }
                if is_over {
                    self.mode = Mode::Flies;
                    return Ok(());
                }
                if let (true, Mode::Undecided { looked, .. }) = (is_due, &mut self.mode) {
                    *looked = 0.0;
                }
                is_due
            }
        };
        if is_seeking {
            let down = Ball { from: self.pose.at, way: -Vec3::Y, far: FAR_DOWN, radius: 0.0 };
            self.ground.ask(down, self.body.root());
        }
        Ok(())
    }

    /// Walks.
    fn stride(&mut self, step: f32) -> Result<(), Error> {
        let jumps = self.controls.jumps(step);
        let wish = Quat::about(Vec3::Y, self.pose.yaw).rotate(self.controls.walk());
        let Mode::Walks { legs, airborne } = &mut self.mode else { return Ok(()) };
        let (jumped, speed, fate, stands) = legs.with(|walk| {
            let jumped = walk.step(wish, jumps, step);
            (jumped, walk.speed(), walk.take_fate(), walk.stands())
        });
        legs.ask();
        let feet = legs.with(|walk| walk.feet());
        let is_blind = legs.is_blind();
        *airborne = if stands { 0.0 } else { *airborne + step };
        if jumped {
            *airborne = FALLS;
            self.controls.jumped();
        }
        self.speed = speed;
        self.lift *= (-SETTLES * step).exp();
        if self.lift.abs() < 1e-3 {
            self.lift = 0.0;
        }
        self.pose.at = feet + Vec3::Y * (EYE + self.lift);
        match fate {
            Fate::Lost => self.fly(NO_GROUND),
            _ if is_blind => self.fly(FLYING),
            _ => Ok(()),
        }
    }

    /// Flies, through everything.
    fn soar(&mut self, step: f32) {
        let ahead = Quat::yaw_pitch_roll(self.pose.yaw, self.pose.pitch, 0.0);
        let wish = self.controls.speed();
        // Up and down are the world's, whatever the eye looks at.
        let wish = ahead.rotate(vec3(wish.x, 0.0, wish.z)) + Vec3::Y * wish.y;
        self.speed = self.speed.lerp(wish, 1.0 - (-12.0 * step).exp());
        if wish == Vec3::ZERO && self.speed.length() < 0.01 {
            self.speed = Vec3::ZERO;
        }
        self.pose.at += self.speed * step;
    }

    /// Sets what has changed: the eye at once, the body at its own pace.
    fn show(&mut self, step: f32) -> Result<(), Error> {
        let mut batch = Batch::new();
        let eye = self.pose.eye();
        if eye != self.eye_shown {
            self.eye_shown = eye;
            batch.set(self.eye, eye);
        }
        let way = match self.mode {
            Mode::Flies => Way::Flying,
            Mode::Walks { airborne, .. } if airborne >= FALLS => Way::InTheAir,
            _ => Way::OnFoot,
        };
        let feet = self.pose.at - Vec3::Y * (EYE + self.lift);
        let Pose { yaw, pitch, .. } = self.pose;
        let stance = Stance { feet, yaw, pitch, speed: self.speed, way };
        self.body.follow(&stance, step, time::monotonic(), &mut batch);
        batch.commit()
    }

    /// Shows others what the user points at.
    fn point(&mut self) -> Result<(), Error> {
        let ray = self.controls.points().then(|| {
            let eye = self.pose.eye();
            let ray = match self.controls.pointer() {
                Some((at, picture)) => Ray::through(&eye, &self.camera, at, picture),
                None => Ray::centre(&eye),
            };
            (ray.from, ray.way)
        });
        self.pointing.follow(ray, &self.body, time::monotonic())
    }
}
