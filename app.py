"""Descent: train small networks in the browser and see what goes wrong. This is the server; what a person sees is in pages/."""

import streamlit as st
from starlette.middleware import Middleware

from pages.shell.components import Preload, routes
from pages.shell.identity import Identity
from pages.training import thumbnails
from pages.watching import door

app = st.App("pages/frame.py", routes=[*routes(), thumbnails.ROUTE, *door.routes()], middleware=[Middleware(Identity), Middleware(Preload)])
