throw new Error("planted throw");
