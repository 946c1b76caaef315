//! Queries the system's OpenGL renderer through EGL without a window. A broken graphics driver may crash or hang the querying process, so
//! the query runs in its own process.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libloading::{Library, Symbol};

/// Time limit for the driver's answer.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Returns the result of [`renderer`] from a second process of this program.
pub fn in_another_process() -> Result<String, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["doctor", "--probe-opengl"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let start = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if start.elapsed() > LONGEST_WAIT => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("no answer within {} s", LONGEST_WAIT.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let (mut out, mut errors) = (String::new(), String::new());
    let _ = child.stdout.take().map(|mut pipe| pipe.read_to_string(&mut out));
    let _ = child.stderr.take().map(|mut pipe| pipe.read_to_string(&mut errors));
    if status.success() {
        return Ok(out.trim().to_owned());
    }
    let reason = errors.lines().rev().find_map(|line| line.strip_prefix("quarry: ")).map(str::to_owned);
    Err(reason.unwrap_or_else(|| format!("the query ended with {status}")))
}

type Handle = *mut c_void;
const NONE: c_int = 0x3038;
const SURFACELESS_PLATFORM: u32 = 0x31dd;
const OPENGL_API: u32 = 0x30a2;
const RENDERABLE_TYPE: c_int = 0x3040;
const OPENGL_BIT: c_int = 8;
const GL_VERSION: u32 = 0x1f02;
const GL_RENDERER: u32 = 0x1f01;

/// Returns version and renderer, for example "4.5 (Compatibility Profile) Mesa 25.0, llvmpipe".
#[expect(unsafe_code, reason = "OpenGL has no other interface")]
pub fn renderer() -> Result<String, String> {
    // SAFETY: the system's EGL library; its initialisers have no preconditions.
    let egl = unsafe { Library::new("libEGL.so.1") }.map_err(|error| format!("libEGL.so.1 does not load: {error}"))?;
    // SAFETY: every function is called with the signature in the EGL 1.5 and OpenGL 1.0 specifications, with handles that it created.
    unsafe { ask(&egl) }
}

/// # Safety
/// `egl` must be EGL's library.
#[expect(unsafe_code, reason = "OpenGL has no other interface")]
unsafe fn ask(egl: &Library) -> Result<String, String> {
    macro_rules! function {
        ($name:literal, $type:ty) => {{
            // SAFETY: the signature is that in EGL's specification.
            let found: Result<Symbol<$type>, _> = unsafe { egl.get($name) };
            found.map_err(|error| error.to_string())?
        }};
    }
    let address = function!(b"eglGetProcAddress", unsafe extern "C" fn(*const c_char) -> Handle);
    let default_display = function!(b"eglGetDisplay", unsafe extern "C" fn(Handle) -> Handle);
    let initialize = function!(b"eglInitialize", unsafe extern "C" fn(Handle, *mut c_int, *mut c_int) -> u32);
    let bind = function!(b"eglBindAPI", unsafe extern "C" fn(u32) -> u32);
    let choose = function!(
        b"eglChooseConfig",
        unsafe extern "C" fn(Handle, *const c_int, *mut Handle, c_int, *mut c_int) -> u32
    );
    let create = function!(b"eglCreateContext", unsafe extern "C" fn(Handle, Handle, Handle, *const c_int) -> Handle);
    let make_current = function!(b"eglMakeCurrent", unsafe extern "C" fn(Handle, Handle, Handle, Handle) -> u32);

    let none = std::ptr::null_mut();
    let null = std::ptr::null_mut();
    // SAFETY: signatures as EGL and OpenGL specify them; a handle or pointer that may be null is checked before use.
    unsafe {
        let mut display = none;
        let by_platform = address(c"eglGetPlatformDisplayEXT".as_ptr());
        if !by_platform.is_null() {
            let by_platform: unsafe extern "C" fn(u32, Handle, *const c_int) -> Handle =
                std::mem::transmute(by_platform);
            display = by_platform(SURFACELESS_PLATFORM, none, std::ptr::null());
        }
        if display.is_null() || initialize(display, null, null) == 0 {
            display = default_display(none);
            if display.is_null() || initialize(display, null, null) == 0 {
                return Err("EGL found no display".to_owned());
            }
        }
        let (mut config, mut count) = (none, 0);
        let wanted = [RENDERABLE_TYPE, OPENGL_BIT, NONE];
        if bind(OPENGL_API) == 0 || choose(display, wanted.as_ptr(), &raw mut config, 1, &raw mut count) == 0 {
            return Err("EGL does not support OpenGL".to_owned());
        }
        let context = create(display, config, none, std::ptr::null());
        if context.is_null() || make_current(display, none, none, context) == 0 {
            return Err("EGL cannot create an OpenGL context".to_owned());
        }
        let get_string = address(c"glGetString".as_ptr());
        if get_string.is_null() {
            return Err("EGL has no glGetString".to_owned());
        }
        let get_string: unsafe extern "C" fn(u32) -> *const c_char = std::mem::transmute(get_string);
        let strings = [GL_VERSION, GL_RENDERER].map(|name| get_string(name));
        if strings.iter().any(|text| text.is_null()) {
            return Err("OpenGL reports no version".to_owned());
        }
        Ok(strings.map(|text| CStr::from_ptr(text).to_string_lossy().into_owned()).join(", "))
    }
}
