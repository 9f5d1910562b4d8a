//! JSON schemas of types that are read from another one: theirs is that one's, under a
//! name of its own.

macro_rules! of {
    ($name:ident as $form:ty) => {
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                <$form as schemars::JsonSchema>::json_schema(generator)
            }
        }
    };
}

pub(super) use of;
