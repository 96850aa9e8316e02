// SPDX-License-Identifier: AGPL-3.0-or-later
//! Ids in JSON: strings as people write them; numbers of peers as numbers.

use serde::{Deserialize, Deserializer, Serializer, de::Error};
use std::{fmt::Display, str::FromStr};

pub(super) fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

pub(super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

pub(super) mod option {
    use super::*;

    pub(in crate::operator) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_none(),
        }
    }

    pub(in crate::operator) fn deserialize<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        Option::<String>::deserialize(from)?.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

pub(super) mod list {
    use super::*;

    pub(in crate::operator) fn serialize<T: Display, S: Serializer>(
        values: &[T],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(ToString::to_string))
    }

    pub(in crate::operator) fn deserialize<'de, T, D>(from: D) -> Result<Vec<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let texts = Vec::<String>::deserialize(from)?;
        texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
    }
}

pub(super) mod number {
    use super::*;
    use hearth_abi::PeerId;

    pub(in crate::operator) fn serialize<S: Serializer>(value: &PeerId, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u32(value.number())
    }

    pub(in crate::operator) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PeerId, D::Error> {
        let number = u32::deserialize(from)?;
        PeerId::new(number).ok_or_else(|| D::Error::custom("a peer number is at most 1048575"))
    }
}

pub(super) mod number_option {
    use super::*;
    use hearth_abi::PeerId;

    pub(in crate::operator) fn serialize<S: Serializer>(
        value: &Option<PeerId>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.serialize_some(&value.number()),
            None => to.serialize_none(),
        }
    }

    pub(in crate::operator) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<PeerId>, D::Error> {
        Option::<u32>::deserialize(from)?
            .map(|n| PeerId::new(n).ok_or_else(|| D::Error::custom("a peer number is at most 1048575")))
            .transpose()
    }
}

pub(super) mod number_list {
    use super::*;
    use hearth_abi::PeerId;

    pub(in crate::operator) fn serialize<S: Serializer>(values: &[PeerId], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(|value| value.number()))
    }

    pub(in crate::operator) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<PeerId>, D::Error> {
        let numbers = Vec::<u32>::deserialize(from)?;
        let peer = |n| PeerId::new(n).ok_or_else(|| D::Error::custom("a peer number is at most 1048575"));
        numbers.into_iter().map(peer).collect()
    }
}
