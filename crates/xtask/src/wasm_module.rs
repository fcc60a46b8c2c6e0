//! Reads from a WebAssembly module what it wants of its host and what it offers.
//!
//! Two sections of a stable binary format; a parser crate would take longer to compile than all the rest of this one.

use crate::process::Outcome;

/// The names a module imports and the functions it exports.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Module {
    /// `module.name` of everything the host would have to supply.
    pub(crate) imports: Vec<String>,
    /// Names of exported functions; memories and globals are left out.
    pub(crate) functions: Vec<String>,
}

const HEADER: &[u8] = b"\0asm\x01\0\0\0";
const IMPORT_SECTION: u8 = 2;
const EXPORT_SECTION: u8 = 7;

impl Module {
    /// Reads the import and export sections; other sections are passed over unread.
    pub(crate) fn parse(bytes: &[u8]) -> Outcome<Self> {
        let mut rest = Reader(bytes.strip_prefix(HEADER).ok_or("not a WebAssembly module of version 1")?);
        let mut module = Self::default();
        while !rest.0.is_empty() {
            let id = rest.byte()?;
            let mut section = rest.block()?;
            match id {
                IMPORT_SECTION => {
                    for _ in 0..section.number()? {
                        let (from, name) = (section.name()?, section.name()?);
                        section.skip_import_type()?;
                        module.imports.push(format!("{from}.{name}"));
                    }
                }
                EXPORT_SECTION => {
                    for _ in 0..section.number()? {
                        let (name, kind, _index) = (section.name()?, section.byte()?, section.number()?);
                        if kind == 0 {
                            module.functions.push(name);
                        }
                    }
                }
                _ => continue,
            }
            if !section.0.is_empty() {
                return Err(format!("section {id} is longer than its entries"));
            }
        }
        Ok(module)
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Outcome<u8> {
        let (first, rest) = self.0.split_first().ok_or("the module ends early")?;
        self.0 = rest;
        Ok(*first)
    }

    /// An unsigned number in LEB128.
    fn number(&mut self) -> Outcome<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number is too long".to_owned())
    }

    /// As many bytes as the number before them says.
    fn block(&mut self) -> Outcome<Reader<'a>> {
        let length = usize::try_from(self.number()?).map_err(|_| "a block is too long")?;
        let (block, rest) = self.0.split_at_checked(length).ok_or("the module ends early")?;
        self.0 = rest;
        Ok(Reader(block))
    }

    fn name(&mut self) -> Outcome<String> {
        let block = self.block()?;
        String::from_utf8(block.0.to_vec()).map_err(|_| "a name is not UTF-8".to_owned())
    }

    fn skip_import_type(&mut self) -> Outcome {
        match self.byte()? {
            0 => drop(self.number()?), // function: its type
            1 => {
                self.byte()?; // table: what it holds, then its limits
                self.skip_limits()?;
            }
            2 => self.skip_limits()?, // memory
            3 => {
                self.byte()?; // global: its type and whether it changes
                self.byte()?;
            }
            4 => {
                self.byte()?; // tag: its attribute and type
                self.number()?;
            }
            kind => return Err(format!("an import of unknown kind {kind}")),
        }
        Ok(())
    }

    fn skip_limits(&mut self) -> Outcome {
        let flags = self.byte()?;
        self.number()?;
        if flags & 1 == 1 {
            self.number()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![id, u8::try_from(content.len()).unwrap()];
        bytes.extend_from_slice(content);
        bytes
    }

    fn module(sections: &[Vec<u8>]) -> Vec<u8> {
        [HEADER.to_vec(), sections.concat()].concat()
    }

    #[test]
    fn an_import_is_seen() {
        // (import "env" "now" (func (type 0)))
        let bytes = module(&[
            section(1, b"\x01\x60\x00\x00"),
            section(2, b"\x01\x03env\x03now\x00\x00"),
            section(7, b"\x01\x03run\x00\x00"),
        ]);
        let module = Module::parse(&bytes).unwrap();
        assert_eq!(module.imports, ["env.now"]);
        assert_eq!(module.functions, ["run"]);
    }

    #[test]
    fn every_kind_of_import_is_passed_over_to_the_next() {
        let imports = b"\x05\
            \x01a\x01t\x01\x70\x01\x01\x80\x01\
            \x01a\x01m\x02\x00\x11\
            \x01a\x01g\x03\x7f\x00\
            \x01a\x01e\x04\x00\x00\
            \x01b\x01f\x00\x85\x01";
        let module = Module::parse(&module(&[section(2, imports)])).unwrap();
        assert_eq!(module.imports, ["a.t", "a.m", "a.g", "a.e", "b.f"]);
    }

    #[test]
    fn only_functions_count_as_exports() {
        let exports = b"\x02\x06memory\x02\x00\x04life\x00\x03";
        let module = Module::parse(&module(&[section(0, b"\x04nameignored"), section(7, exports)])).unwrap();
        assert_eq!(module, Module { imports: vec![], functions: vec!["life".to_owned()] });
    }

    #[test]
    fn damaged_modules_are_errors() {
        assert!(Module::parse(b"#!/bin/sh").is_err());
        assert!(Module::parse(&module(&[vec![2, 90, 1]])).is_err());
        assert!(Module::parse(&module(&[section(2, b"\x01\x03env\x03now\x09")])).is_err());
        assert!(Module::parse(&module(&[section(7, b"\x00trailing")])).is_err());
    }
}
