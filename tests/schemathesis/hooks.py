"""What Schemathesis cannot know of Hookswitch: what an upload may be."""

import os
import pathlib

import schemathesis
from hypothesis import strategies as st

component = pathlib.Path(os.environ["HOOKSWITCH_COMPONENT"]).read_bytes()

uploads = st.one_of(
    st.just(component),
    st.integers(0, len(component)).map(lambda length: component[:length]),
    st.binary(max_size=4096),
)

schemathesis.openapi.media_type("application/wasm", uploads)
