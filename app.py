"""Descent: train small networks in the browser and see what goes wrong. This is the server; what a person sees is in pages/."""

import os

import streamlit as st
from starlette.middleware import Middleware

from pages.shell.access import Headers, MessagesAlone, share_with_others
from pages.shell.access import routes as access_routes
from pages.shell.components import Preload, routes
from pages.shell.identity import Identity
from pages.shell.loading import Loading
from pages.training import thumbnails
from pages.watching import door

share_with_others(os.environ)
app = st.App(
    "pages/frame.py",
    routes=[*routes(), *access_routes(), thumbnails.ROUTE, *door.routes()],
    middleware=[Middleware(Headers), Middleware(Identity), Middleware(Preload), Middleware(Loading), Middleware(MessagesAlone)],
)
