// SPDX-License-Identifier: AGPL-3.0-or-later
//! Arithmetic, compiled: an expression in, a WebAssembly module out.
//!
//! The module has one task: it works out the expression and sends the result to the process that its
//! arguments name, as a CBOR array of the job's number and the result.

use std::{error::Error, fmt};
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    ImportSection, Instruction, MemArg, MemArgTarget, MemorySection, MemoryType, Module, TypeSection,
    ValType,
};

/// Longest expression in bytes.
pub const LEN_MAX: usize = 4096;
/// Deepest nesting of parentheses and signs.
const DEPTH_MAX: usize = 64;

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, in bytes from its start.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.what, self.at)
    }
}

impl Error for Problem {}

/// Reads an expression and writes instructions that leave its value on the stack.
struct Compiler<'a> {
    text: &'a [u8],
    at: usize,
    code: Vec<Instruction<'static>>,
}

impl Compiler<'_> {
    fn problem<T>(&self, what: &'static str) -> Result<T, Problem> {
        Err(Problem { at: self.at, what })
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// sum = product (('+' | '-') product)*
    fn sum(&mut self, depth: usize) -> Result<(), Problem> {
        self.product(depth)?;
        while let Some(sign @ (b'+' | b'-')) = self.peek() {
            self.at += 1;
            self.product(depth)?;
            self.code.push(if sign == b'+' { Instruction::F64Add } else { Instruction::F64Sub });
        }
        Ok(())
    }

    /// product = factor (('*' | '/') factor)*
    fn product(&mut self, depth: usize) -> Result<(), Problem> {
        self.factor(depth)?;
        while let Some(sign @ (b'*' | b'/')) = self.peek() {
            self.at += 1;
            self.factor(depth)?;
            self.code.push(if sign == b'*' { Instruction::F64Mul } else { Instruction::F64Div });
        }
        Ok(())
    }

    /// factor = number | '-' factor | '(' sum ')' | 'sqrt' '(' sum ')'
    fn factor(&mut self, depth: usize) -> Result<(), Problem> {
        if depth == DEPTH_MAX {
            return self.problem("nested too deep");
        }
        match self.peek() {
            Some(b'-') => {
                self.at += 1;
                self.factor(depth + 1)?;
                self.code.push(Instruction::F64Neg);
                Ok(())
            }
            Some(b'(') => self.parentheses(depth),
            Some(b's') if self.text[self.at..].starts_with(b"sqrt") => {
                self.at += 4;
                if self.peek() != Some(b'(') {
                    return self.problem("`sqrt` needs parentheses");
                }
                self.parentheses(depth)?;
                self.code.push(Instruction::F64Sqrt);
                Ok(())
            }
            Some(b'0'..=b'9' | b'.') => self.number(),
            Some(_) => self.problem("neither a number nor a sign"),
            None => self.problem("the expression ends early"),
        }
    }

    fn parentheses(&mut self, depth: usize) -> Result<(), Problem> {
        self.at += 1;
        self.sum(depth + 1)?;
        if self.peek() != Some(b')') {
            return self.problem("no closing parenthesis");
        }
        self.at += 1;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Problem> {
        let rest = &self.text[self.at..];
        let len = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
        let value = std::str::from_utf8(&rest[..len]).ok().and_then(|digits| digits.parse::<f64>().ok());
        let Some(value) = value else { return self.problem("no number") };
        self.at += len;
        self.code.push(Instruction::F64Const(value.into()));
        Ok(())
    }
}

fn instructions(expression: &str) -> Result<Vec<Instruction<'static>>, Problem> {
    if expression.len() > LEN_MAX {
        return Err(Problem { at: LEN_MAX, what: "the expression is too long" });
    }
    let mut compiler = Compiler { text: expression.as_bytes(), at: 0, code: Vec::new() };
    compiler.sum(0)?;
    match compiler.peek() {
        None => Ok(compiler.code),
        Some(_) => compiler.problem("more than one expression"),
    }
}

/// Where the module's memory has the message.
const MESSAGE: u64 = 64;
/// Its length: an array of two (1), an integer (9), a float (9).
const MESSAGE_LEN: i32 = 19;

/// The arguments for a module: the process that gets the result, and the number of the job.
pub fn arguments(to: u64, job: u64) -> [[u8; 8]; 2] {
    // The job stands in the message as CBOR has it, in network order.
    [to.to_le_bytes(), job.to_be_bytes()]
}

/// The module that works out an expression of numbers, `+ - * /`, `sqrt` and parentheses.
///
/// # Errors
/// The text is no expression, or too long or too deep.
pub fn compile(expression: &str) -> Result<Vec<u8>, Problem> {
    let code = instructions(expression)?;
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32, ValType::I32], [ValType::I32]);
    types.ty().function([ValType::I64, ValType::I32, ValType::I32], [ValType::I32]);
    types.ty().function([], []);
    types.ty().function([ValType::I64], [ValType::I64]);
    let mut imports = ImportSection::new();
    imports.import("hearth/1", "args", EntityType::Function(0));
    imports.import("hearth/1", "send", EntityType::Function(1));
    let (args, send, start, swap) = (0, 1, 2, 3);
    let mut functions = FunctionSection::new();
    functions.function(2).function(3);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: Some(1),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0).export("start", ExportKind::Func, start);

    let at = |offset: u64| MemArg { offset, align: 0, target: MemArgTarget::default(), ordering: None };
    let zero = || Instruction::I32Const(0);
    let mut body = Function::new([]);
    // Two arguments of eight bytes, each after its length.
    for instruction in [zero(), Instruction::I32Const(24), Instruction::Call(args), Instruction::Drop] {
        body.instruction(&instruction);
    }
    // The job.
    for instruction in [zero(), zero(), Instruction::I64Load(at(16)), Instruction::I64Store(at(MESSAGE + 2))]
    {
        body.instruction(&instruction);
    }
    // The result, in network order.
    body.instruction(&zero());
    code.iter().for_each(|instruction| {
        body.instruction(instruction);
    });
    for instruction in [
        Instruction::I64ReinterpretF64,
        Instruction::Call(swap),
        Instruction::I64Store(at(MESSAGE + 11)),
        zero(),
        Instruction::I64Load(at(4)),
        Instruction::I32Const(MESSAGE as i32),
        Instruction::I32Const(MESSAGE_LEN),
        Instruction::Call(send),
        Instruction::Drop,
        Instruction::End,
    ] {
        body.instruction(&instruction);
    }
    let mut codes = CodeSection::new();
    codes.function(&body).function(&byte_swap());
    let mut data = DataSection::new();
    // CBOR: an array of two, of which the first is an integer of eight bytes.
    data.active(0, &ConstExpr::i32_const(MESSAGE as i32), [0x82, 0x1b]);
    // The second is a float of eight bytes.
    data.active(0, &ConstExpr::i32_const(MESSAGE as i32 + 10), [0xfb]);

    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&memories);
    module.section(&exports).section(&codes).section(&data);
    Ok(module.finish())
}

/// A function that turns the order of eight bytes round.
fn byte_swap() -> Function {
    let mut body = Function::new([]);
    for (mask, shift) in [(0x00ff_00ff_00ff_00ff, 8), (0x0000_ffff_0000_ffff, 16)] {
        for instruction in [
            Instruction::LocalGet(0),
            Instruction::I64Const(mask),
            Instruction::I64And,
            Instruction::I64Const(shift),
            Instruction::I64Shl,
            Instruction::LocalGet(0),
            Instruction::I64Const(shift),
            Instruction::I64ShrU,
            Instruction::I64Const(mask),
            Instruction::I64And,
            Instruction::I64Or,
            Instruction::LocalSet(0),
        ] {
            body.instruction(&instruction);
        }
    }
    for instruction in
        [Instruction::LocalGet(0), Instruction::I64Const(32), Instruction::I64Rotl, Instruction::End]
    {
        body.instruction(&instruction);
    }
    body
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// Works the instructions out, as the module will.
    fn value(expression: &str) -> f64 {
        let mut stack = Vec::new();
        for instruction in instructions(expression).unwrap() {
            let mut two = |f: fn(f64, f64) -> f64| {
                let (b, a) = (stack.pop().unwrap(), stack.pop().unwrap());
                f(a, b)
            };
            let result = match instruction {
                Instruction::F64Const(value) => f64::from(value),
                Instruction::F64Add => two(|a, b| a + b),
                Instruction::F64Sub => two(|a, b| a - b),
                Instruction::F64Mul => two(|a, b| a * b),
                Instruction::F64Div => two(|a, b| a / b),
                Instruction::F64Neg => -stack.pop().unwrap(),
                Instruction::F64Sqrt => stack.pop().unwrap().sqrt(),
                other => panic!("{other:?}"),
            };
            stack.push(result);
        }
        assert_eq!(stack.len(), 1, "{expression}");
        stack[0]
    }

    #[test]
    fn expressions_have_their_values() {
        for (expression, expected) in [
            ("7", 7.0),
            (" 2 * (3 + 4) ", 14.0),
            ("2+3*4-5", 9.0),
            ("10-4-3", 3.0),
            ("100/10/2", 5.0),
            ("-(1.5-4)*-2", -5.0),
            ("--3", 3.0),
            ("sqrt(16)+sqrt (9)", 7.0),
            ("1/0", f64::INFINITY),
        ] {
            assert_eq!(value(expression), expected, "{expression}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused_with_its_place() {
        let deep = "(".repeat(1000);
        let long = "1+".repeat(LEN_MAX);
        for (expression, at, what) in [
            ("", 0, "the expression ends early"),
            ("1+", 2, "the expression ends early"),
            ("1 2", 2, "more than one expression"),
            ("(1", 2, "no closing parenthesis"),
            ("1.2.3", 0, "no number"),
            ("2*x", 2, "neither a number nor a sign"),
            ("sqrt 2", 5, "`sqrt` needs parentheses"),
            ("ü", 0, "neither a number nor a sign"),
            (&deep, DEPTH_MAX, "nested too deep"),
            (&long, LEN_MAX, "the expression is too long"),
        ] {
            assert_eq!(compile(expression), Err(Problem { at, what }), "{expression}");
        }
    }

    #[test]
    fn modules_are_valid_and_import_the_contract() {
        for expression in ["1", "2*(3+4)/sqrt(5)-1"] {
            let module = compile(expression).unwrap();
            wasmparser::validate(&module).unwrap();
        }
    }
}
